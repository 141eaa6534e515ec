"""Who may use which provider, and how: rules, their parsing, their evaluation."""
