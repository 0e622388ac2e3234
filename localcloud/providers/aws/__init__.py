"""AWS resources through boto3's clients: the real wire, signed, through the inline proxy."""
