metadata name = 'Machine'
metadata description = 'One virtual machine with a fixed address: a server, a Consul server or the jump box. Its role lies in userData, never in customData.'

import { House } from '../../types.bicep'
import { MachineHouse } from '../../machineTypes.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. How every machine is made.')
param machines MachineHouse

@description('Required. Name of the machine, which is also its Nomad name.')
param name string

@description('Required. Size.')
param sku string

@description('Required. Availability zone; empty with an availability set.')
param zone string

@description('Required. Resource id of the availability set; empty with zones.')
param availabilitySetId string

@description('Required. Resource id of the subnet.')
param subnetId string

@description('Required. Private address; it never changes.')
param address string

@description('Required. Backend pools that the machine joins, by resource id.')
param backendPoolIds string[]

@description('Required. Resource id of its identity, the only one it has.')
param identityId string

@description('Required. Whether the machine is a member of the cluster; a jump box is none, and gets neither customData nor userData.')
param member bool

@description('Required. What a member must know, as base64 of JSON. May change at any time; the machine follows.')
param userData string

@description('Required. Kind and size of the data disk; null for none.')
param dataDisk { sku: 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS', sizeGb: int }?

@description('Required. Resource id of the maintenance configuration that patches it; null for none.')
param maintenanceId string?

/*** VARIABLES ***/
// The same bytes for every machine of every cluster: Azure never lets customData change.
var customData = loadFileAsBase64('../../../cloud-init/loader.yaml')
var zones = empty(zone) ? null : [zone]
var images = {
  '22.04': { publisher: 'Canonical', offer: '0001-com-ubuntu-server-jammy', sku: '22_04-lts-gen2', version: 'latest' }
  '24.04': { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
}
var backendPools = [for id in backendPoolIds: { id: id }]
var encryptionSet = empty(machines.diskEncryptionSetId) ? null : { id: machines.diskEncryptionSetId }

/*** RESOURCES ***/
resource nic 'Microsoft.Network/networkInterfaces@2024-07-01' = {
  name: 'nic-${name}'
  location: house.location
  tags: house.tags
  properties: {
    enableAcceleratedNetworking: true
    enableIPForwarding: false
    ipConfigurations: [
      {
        name: 'cluster'
        properties: {
          subnet: { id: subnetId }
          privateIPAllocationMethod: 'Static'
          privateIPAddress: address
          loadBalancerBackendAddressPools: backendPools
        }
      }
    ]
  }
}

// checkov:skip=CKV_AZURE_93 where properties.encryption.type=EncryptionAtRestWithPlatformKey: a key of ours is a parameter (customerKeys), on in production-ha; otherwise the platform's key and encryption at host protect the disk
resource disk 'Microsoft.Compute/disks@2025-01-02' = if (dataDisk != null) {
  name: 'disk-${name}-data'
  location: house.location
  tags: house.tags
  zones: zones
  sku: { name: dataDisk.?sku ?? 'Premium_LRS' }
  properties: {
    creationData: { createOption: 'Empty' }
    diskSizeGB: dataDisk.?sizeGb
    networkAccessPolicy: 'DenyAll'
    publicNetworkAccess: 'Disabled'
    encryption: encryptionSet == null
      ? { type: 'EncryptionAtRestWithPlatformKey' }
      : { type: 'EncryptionAtRestWithCustomerKey', diskEncryptionSetId: machines.diskEncryptionSetId }
  }
}

// checkov:skip=CKV_AZURE_50: monitoring and Entra ID login are extensions, and both are asked for; this template alone installs them
resource machine 'Microsoft.Compute/virtualMachines@2025-04-01' = {
  name: name
  location: house.location
  tags: house.tags
  zones: zones
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    hardwareProfile: { vmSize: sku }
    availabilitySet: empty(availabilitySetId) ? null : { id: availabilitySetId }
    additionalCapabilities: { ultraSSDEnabled: dataDisk.?sku == 'UltraSSD_LRS' }
    securityProfile: {
      encryptionAtHost: true
      securityType: 'TrustedLaunch'
      uefiSettings: { secureBootEnabled: true, vTpmEnabled: true }
    }
    storageProfile: {
      imageReference: images[machines.ubuntu]
      osDisk: {
        name: 'disk-${name}-os'
        createOption: 'FromImage'
        caching: 'ReadWrite'
        deleteOption: 'Delete'
        managedDisk: { storageAccountType: 'Premium_LRS', diskEncryptionSet: encryptionSet }
      }
      // Raft acknowledges what the disk acknowledges, so nothing may be cached in between.
      dataDisks: dataDisk == null
        ? []
        : [{ lun: 0, createOption: 'Attach', caching: 'None', deleteOption: 'Detach', managedDisk: { id: disk.id } }]
    }
    osProfile: {
      computerName: name
      adminUsername: machines.adminUsername
      customData: member ? customData : null
      allowExtensionOperations: true
      linuxConfiguration: {
        disablePasswordAuthentication: true
        provisionVMAgent: true
        ssh: {
          publicKeys: [
            { path: '/home/${machines.adminUsername}/.ssh/authorized_keys', keyData: machines.sshPublicKey }
          ]
        }
        patchSettings: {
          patchMode: 'AutomaticByPlatform'
          assessmentMode: 'AutomaticByPlatform'
          automaticByPlatformSettings: {
            rebootSetting: 'IfRequired'
            // The maintenance configuration decides the hour: zones on different days, so that a quorum stays.
            bypassPlatformSafetyChecksOnUserSchedule: true
          }
        }
      }
    }
    userData: member ? userData : null
    networkProfile: { networkInterfaces: [{ id: nic.id, properties: { primary: true, deleteOption: 'Delete' } }] }
    diagnosticsProfile: { bootDiagnostics: { enabled: true } }
  }
}

resource monitorAgent 'Microsoft.Compute/virtualMachines/extensions@2024-11-01' = {
  parent: machine
  name: 'AzureMonitorLinuxAgent'
  location: house.location
  tags: house.tags
  properties: {
    publisher: 'Microsoft.Azure.Monitor'
    type: 'AzureMonitorLinuxAgent'
    typeHandlerVersion: '1.33'
    autoUpgradeMinorVersion: true
    enableAutomaticUpgrade: true
    settings: {
      authentication: { managedIdentity: { 'identifier-name': 'mi_res_id', 'identifier-value': identityId } }
    }
  }
}

resource login 'Microsoft.Compute/virtualMachines/extensions@2024-11-01' = {
  parent: machine
  name: 'AADSSHLoginForLinux'
  location: house.location
  tags: house.tags
  properties: {
    publisher: 'Microsoft.Azure.ActiveDirectory'
    type: 'AADSSHLoginForLinux'
    typeHandlerVersion: '1.0'
    autoUpgradeMinorVersion: true
  }
}

resource collection 'Microsoft.Insights/dataCollectionRuleAssociations@2024-03-11' = {
  name: 'machine'
  scope: machine
  properties: { dataCollectionRuleId: machines.collectionRuleId }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: machine
  properties: { workspaceId: house.workspaceId, metrics: [{ category: 'AllMetrics', enabled: true }] }
}

resource patching 'Microsoft.Maintenance/configurationAssignments@2023-04-01' = if (maintenanceId != null) {
  name: 'patching'
  location: house.location
  scope: machine
  properties: { maintenanceConfigurationId: maintenanceId }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the machine.')
output id string = machine.id
