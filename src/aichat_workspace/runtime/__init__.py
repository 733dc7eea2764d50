"""What the operator and the API share at the edge: the kinds as the API server addresses them, the
way to model servers, and logs."""
