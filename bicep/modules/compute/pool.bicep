metadata name = 'Client pool'
metadata description = 'One scale set of Nomad clients. Its size belongs to the keeper once it exists; instances are replaced, never mended.'

import { House } from '../../types.bicep'
import { MachineHouse, PlannedPool } from '../../machineTypes.bicep'
import { ports } from '../../ports.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. How every machine is made.')
param machines MachineHouse

@description('Required. The pool, with every default filled in.')
param pool PlannedPool

@description('Required. Resource id of the subnet of the clients.')
param subnetId string

@description('Required. Its identities by resource id; the agent of monitoring uses the first.')
@minLength(1)
param identityIds string[]

@description('Required. What an instance must know, as base64 of JSON.')
param userData string

@description('Required. Backend pools of Application Gateway, by resource id.')
param gatewayPoolIds string[]

/*** VARIABLES ***/
var customData = loadFileAsBase64('../../../cloud-init/loader.yaml')
var flexible = pool.mode == 'Flexible'
var images = {
  '22.04': { publisher: 'Canonical', offer: '0001-com-ubuntu-server-jammy', sku: '22_04-lts-gen2', version: 'latest' }
  '24.04': { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' }
}

// The keeper sizes an empty pool from these.
var template = {
  'keeper-pool': pool.name
  'keeper-node-cpu-mhz': string(pool.node.cpuMhz)
  'keeper-node-memory-mb': string(pool.node.memoryMb)
  'keeper-node-disk-mb': string(pool.node.diskMb)
  'keeper-node-cores': string(pool.node.cores)
  'keeper-node-class': pool.nodeClass
  'keeper-node-pool': pool.nodePool
  'keeper-node-datacenter': pool.datacenter
}

var properties resourceInput<'Microsoft.Compute/virtualMachineScaleSets@2024-11-01'>.properties = union(
  {
    orchestrationMode: pool.mode
    singlePlacementGroup: false
    platformFaultDomainCount: empty(pool.zones) && !flexible ? 5 : 1
    // Keep buying when one zone is out of machines; Azure takes no answer where there is no choice of zones.
    zoneBalance: flexible || length(pool.zones) < 2 ? null : false
    automaticRepairsPolicy: {
      enabled: true
      gracePeriod: 'PT45M' // longer than the worst bootstrap, which gives up after 30 minutes
      repairAction: 'Replace'
    }
    virtualMachineProfile: {
      priority: pool.spot ? 'Spot' : 'Regular'
      // Deallocated spot machines would go on counting as capacity.
      evictionPolicy: pool.spot ? 'Delete' : null
      billingProfile: pool.spot ? { maxPrice: -1 } : null
      userData: userData
      securityProfile: {
        encryptionAtHost: true
        securityType: 'TrustedLaunch'
        uefiSettings: { secureBootEnabled: true, vTpmEnabled: true }
      }
      storageProfile: {
        imageReference: images[machines.ubuntu]
        osDisk: {
          createOption: 'FromImage'
          caching: 'ReadOnly'
          diskSizeGB: 64
          managedDisk: {
            storageAccountType: 'Premium_LRS'
            diskEncryptionSet: empty(machines.diskEncryptionSetId) ? null : { id: machines.diskEncryptionSetId }
          }
        }
      }
      osProfile: {
        computerNamePrefix: '${house.cluster}-${pool.name}-'
        adminUsername: machines.adminUsername
        customData: customData
        allowExtensionOperations: true
        linuxConfiguration: {
          disablePasswordAuthentication: true
          provisionVMAgent: true
          ssh: {
            publicKeys: [
              { path: '/home/${machines.adminUsername}/.ssh/authorized_keys', keyData: machines.sshPublicKey }
            ]
          }
          // Uniform instances take a new image by reimage; Flexible ones are patched in place, and only the keeper reboots them.
          patchSettings: flexible
            ? {
                patchMode: 'AutomaticByPlatform'
                assessmentMode: 'AutomaticByPlatform'
                automaticByPlatformSettings: { rebootSetting: 'Never' }
              }
            : { patchMode: 'ImageDefault', assessmentMode: 'ImageDefault' }
        }
      }
      networkProfile: union(
        {
          networkInterfaceConfigurations: [
            {
              name: 'cluster'
              properties: {
                primary: true
                enableAcceleratedNetworking: true
                enableIPForwarding: false
                deleteOption: 'Delete'
                ipConfigurations: [
                  {
                    name: 'cluster'
                    properties: {
                      primary: true
                      subnet: { id: subnetId }
                      applicationGatewayBackendAddressPools: map(gatewayPoolIds, id => { id: id })
                    }
                  }
                ]
              }
            }
          ]
        },
        flexible ? { networkApiVersion: '2020-11-01' } : {}
      )
      diagnosticsProfile: { bootDiagnostics: { enabled: true } }
      // Azure tells an instance before it deletes it, so that Nomad drains. Spot has its own, shorter notice.
      scheduledEventsProfile: pool.spot
        ? null
        : { terminateNotificationProfile: { enable: true, notBeforeTimeout: 'PT15M' } }
      extensionProfile: {
        extensions: [
          {
            name: 'health'
            properties: {
              publisher: 'Microsoft.ManagedServices'
              type: 'ApplicationHealthLinux'
              typeHandlerVersion: '1.0' // 2.0 wants a body that Nomad does not send, and would repair in a loop
              autoUpgradeMinorVersion: true
              settings: {
                protocol: 'http'
                port: ports.health
                requestPath: '/health'
                intervalInSeconds: 10
                numberOfProbes: 3
              }
            }
          }
          {
            name: 'AzureMonitorLinuxAgent'
            properties: {
              publisher: 'Microsoft.Azure.Monitor'
              type: 'AzureMonitorLinuxAgent'
              typeHandlerVersion: '1.33'
              autoUpgradeMinorVersion: true
              enableAutomaticUpgrade: true
              settings: {
                authentication: {
                  managedIdentity: { 'identifier-name': 'mi_res_id', 'identifier-value': identityIds[0] }
                }
              }
            }
          }
          {
            name: 'AADSSHLoginForLinux'
            properties: {
              publisher: 'Microsoft.Azure.ActiveDirectory'
              type: 'AADSSHLoginForLinux'
              typeHandlerVersion: '1.0'
              autoUpgradeMinorVersion: true
            }
          }
        ]
      }
    }
  },
  flexible ? {} : { overprovision: false, upgradePolicy: { mode: 'Manual' } }
)

/*** RESOURCES ***/
// The first deployment makes the scale set at its floor. Later ones find the size that the keeper gave it, and keep it:
// a capacity that a template lowers deletes instances of Azure's choice, with their work on them.
module birth 'poolBirth.bicep' = {
  name: 'birth-${pool.name}'
  params: {
    name: 'vmss-${house.cluster}-${pool.name}'
    location: house.location
    tags: union(house.tags, template)
    zones: pool.zones
    identityIds: identityIds
    sku: pool.sku
    floor: pool.min
    properties: properties
  }
}

module model 'poolModel.bicep' = {
  name: 'model-${pool.name}'
  params: {
    name: 'vmss-${house.cluster}-${pool.name}'
    location: house.location
    tags: union(house.tags, template)
    zones: pool.zones
    identityIds: identityIds
    sku: pool.sku
    capacity: birth.outputs.capacity
    properties: properties
    workspaceId: house.workspaceId
    collectionRuleId: machines.collectionRuleId
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the scale set.')
output id string = model.outputs.id
