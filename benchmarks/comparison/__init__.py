"""Compare an operator with a null writer that sends the same writes, and with a simulated fleet."""
