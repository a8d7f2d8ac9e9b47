metadata name = 'Birth of a client pool'
metadata description = 'Makes the scale set if there is none yet, and tells the size that it has now.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the scale set.')
param name string

@description('Required. Region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Zones; empty where there are none.')
param zones string[]

@description('Required. Its identities by resource id.')
param identityIds string[]

@description('Required. Size of an instance.')
param sku string

@description('Required. Instances to begin with.')
param floor int

@description('Required. Everything else, as pool.bicep describes it.')
param properties resourceInput<'Microsoft.Compute/virtualMachineScaleSets@2024-11-01'>.properties

/*** RESOURCES ***/
// checkov:skip=CKV_AZURE_95 where properties.orchestrationMode=Flexible: Azure upgrades images of Uniform sets only; here it patches in place (patchMode) and the keeper replaces instances
@onlyIfNotExists()
resource scaleSet 'Microsoft.Compute/virtualMachineScaleSets@2024-11-01' = {
  name: name
  location: location
  tags: tags
  zones: empty(zones) ? null : zones
  identity: { type: 'UserAssigned', userAssignedIdentities: toObject(identityIds, id => id, id => {}) }
  sku: { name: sku, tier: 'Standard', capacity: floor }
  properties: properties
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Instances that the scale set has now: what the keeper last asked for.')
output capacity int = scaleSet.sku.capacity
