"""The life of an operation: request, approve, claim, attempt, retry, finish, cascade."""
