metadata name = 'Model of a client pool'
metadata description = 'Brings the scale set to what the template says, and leaves its size alone.'

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

@description('Required. Instances that it has now.')
param capacity int

@description('Required. Everything else, as pool.bicep describes it.')
param properties resourceInput<'Microsoft.Compute/virtualMachineScaleSets@2024-11-01'>.properties

@description('Required. Resource id of the workspace that takes its metrics.')
param workspaceId string

@description('Required. Resource id of the data collection rule of its instances.')
param collectionRuleId string

/*** RESOURCES ***/
// checkov:skip=CKV_AZURE_95 where properties.orchestrationMode=Flexible: Azure upgrades images of Uniform sets only; here it patches in place (patchMode) and the keeper replaces instances
resource scaleSet 'Microsoft.Compute/virtualMachineScaleSets@2024-11-01' = {
  name: name
  location: location
  tags: tags
  zones: empty(zones) ? null : zones
  identity: { type: 'UserAssigned', userAssignedIdentities: toObject(identityIds, id => id, id => {}) }
  sku: { name: sku, tier: 'Standard', capacity: capacity }
  properties: properties
}

resource collection 'Microsoft.Insights/dataCollectionRuleAssociations@2024-03-11' = {
  name: 'machine'
  scope: scaleSet
  properties: { dataCollectionRuleId: collectionRuleId }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: scaleSet
  properties: { workspaceId: workspaceId, metrics: [{ category: 'AllMetrics', enabled: true }] }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the scale set.')
output id string = scaleSet.id
