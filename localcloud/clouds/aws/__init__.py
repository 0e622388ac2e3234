"""AWS: moto behind a record that restores every id, with spot capacity, prices and machines of our own."""
