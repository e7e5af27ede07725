"""What runs inside the child's interpreter: the standard library only, nothing else of zscrape."""
