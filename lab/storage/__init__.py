"""The storage account of the lab: Azurite behind the real Azure SDKs."""

from lab.storage.azurite import Azurite
from lab.storage.install import install_azurite

__all__ = ["Azurite", "install_azurite"]
