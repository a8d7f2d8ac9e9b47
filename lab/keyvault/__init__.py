"""A Key Vault of the lab: secrets, keys and certificates behind the real azure-keyvault-* clients, over https."""
