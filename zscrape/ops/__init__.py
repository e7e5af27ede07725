"""What operators do: demo, doctor, local runs."""
