"""Single sign-on of tenants by OpenID Connect (decision 31)."""
