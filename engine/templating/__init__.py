"""Tag grammar, typed values, native header, versions, linter."""
