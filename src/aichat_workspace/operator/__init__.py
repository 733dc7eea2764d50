"""The operator: gathers what is, lets the domain decide, and carries it out."""
