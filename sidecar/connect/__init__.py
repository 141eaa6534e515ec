"""How a user gives a grant: a link, a page with one button, the provider's consent, and the way back."""
