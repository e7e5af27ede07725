"""The process that performs, on checked copies, what the network filter of scripts stops."""
