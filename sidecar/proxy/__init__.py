"""The data plane: target, credential, rewriting and the exchange with the provider."""
