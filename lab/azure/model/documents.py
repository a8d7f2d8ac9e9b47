"""JSON documents: merging what a caller sends into what is there, and filling in what Azure adds by itself."""

from __future__ import annotations

from typing import Any

from lab.azure.model.words import Mode


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it: objects merge, anything else (null and lists too) replaces."""
    result = dict(base)
    for name, value in changes.items():
        present = result.get(name)
        if isinstance(value, dict) and isinstance(present, dict):
            result[name] = merged(present, value)
        else:
            result[name] = value
    return result


def with_scale_set_defaults(document: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """Return a scale set's document with the properties that Azure fills in when they were not sent."""
    uniform = {
        "singlePlacementGroup": True,
        "overprovision": True,
        "doNotRunExtensionsOnOverprovisionedVMs": False,
        "platformFaultDomainCount": 5,
    }
    flexible = {"singlePlacementGroup": False, "platformFaultDomainCount": 1, "constrainedMaximumCapacity": False}
    defaults = {
        **(uniform if mode is Mode.UNIFORM else flexible),
        "orchestrationMode": mode.value,
        "upgradePolicy": {"mode": "Manual"},
    }
    properties = {**defaults, **document.get("properties", {})}
    if properties.get("virtualMachineProfile"):
        properties["virtualMachineProfile"] = _with_profile_defaults(properties["virtualMachineProfile"])
    return {**document, "properties": properties}


def _with_profile_defaults(profile: dict[str, Any]) -> dict[str, Any]:
    os_defaults = {"secrets": [], "allowExtensionOperations": True, "requireGuestProvisionSignal": True}
    return {**profile, "osProfile": {**os_defaults, **profile.get("osProfile", {})}}


def pool_profile(name: str, group_id: str, mode: Mode, *, spot: bool, eviction_policy: str) -> dict[str, Any]:
    """Return the template of a Linux pool like the ones that the project deploys, for scale sets made from Python."""
    network = f"{group_id}/providers/Microsoft.Network"
    prefix = name.replace("-", "")[:9]
    flexible = mode is Mode.FLEXIBLE
    nic = {
        "primary": True,
        "disableTcpStateTracking": False,
        "networkSecurityGroup": {"id": f"{network}/networkSecurityGroups/nsg-clients"},
        "dnsSettings": {"dnsServers": []},
        "enableIPForwarding": False,
        "ipConfigurations": [
            {
                "name": f"{prefix}IPConfig",
                "properties": {
                    "subnet": {"id": f"{network}/virtualNetworks/vnet-lab/subnets/snet-clients"},
                    "privateIPAddressVersion": "IPv4",
                },
            },
        ],
        **({"deleteOption": "Delete", "auxiliaryMode": "None", "auxiliarySku": "None"} if flexible else {}),
    }
    linux: dict[str, Any] = {
        "disablePasswordAuthentication": True,
        "ssh": {"publicKeys": [{"path": "/home/operator/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA lab"}]},
        "provisionVMAgent": True,
    }
    disk: dict[str, Any] = {"osType": "Linux", "createOption": "FromImage", "caching": "ReadWrite", "diskSizeGB": 30}
    if flexible:
        linux["patchSettings"] = {"patchMode": "ImageDefault", "assessmentMode": "ImageDefault"}
        disk["deleteOption"] = "Delete"
    return {
        "osProfile": {"computerNamePrefix": prefix, "adminUsername": "operator", "linuxConfiguration": linux},
        "storageProfile": {
            "osDisk": {**disk, "managedDisk": {"storageAccountType": "Premium_LRS"}},
            "imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"},
        },
        "networkProfile": {
            **({"networkApiVersion": "2020-11-01"} if flexible else {}),
            "networkInterfaceConfigurations": [{"name": f"{prefix}Nic", "properties": nic}],
        },
        **(
            {"priority": "Spot", "evictionPolicy": eviction_policy, "billingProfile": {"maxPrice": -1.0}}
            if spot
            else {}
        ),
    }
