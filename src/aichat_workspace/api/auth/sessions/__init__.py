"""Sessions of browsers: kept in cookies, shared and renewed by any replica."""
