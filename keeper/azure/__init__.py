"""The adapters to Azure. They translate; they never decide."""
