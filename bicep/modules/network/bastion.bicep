metadata name = 'Azure Bastion'
metadata description = 'How people reach a machine: Entra ID at the door, an SSH key or Entra ID at the machine, no public address on any machine.'

import { House } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Resource id of AzureBastionSubnet.')
param subnetId string

@description('Required. Zones of the region that the cluster uses; empty where there are none.')
param zones string[]

@description('Required. Object id of the Entra group that may log in to machines; empty for none.')
param adminGroupId string

/*** RESOURCES ***/
resource publicIp 'Microsoft.Network/publicIPAddresses@2025-01-01' = {
  name: 'pip-${house.cluster}-bastion'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  zones: empty(zones) ? null : zones
  properties: { publicIPAllocationMethod: 'Static' }
}

resource bastion 'Microsoft.Network/bastionHosts@2025-01-01' = {
  name: 'bas-${house.cluster}'
  location: house.location
  tags: house.tags
  sku: { name: 'Standard' }
  zones: empty(zones) ? null : zones
  properties: {
    enableTunneling: true
    disableCopyPaste: false
    enableShareableLink: false
    ipConfigurations: [
      { name: 'in', properties: { subnet: { id: subnetId }, publicIPAddress: { id: publicIp.id } } }
    ]
  }
}

resource passes 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(adminGroupId)) {
  name: guid(bastion.id, adminGroupId, roles.reader)
  scope: bastion
  properties: {
    principalId: adminGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.reader)
    description: 'Operators come to machines through this Bastion, which Azure lets only those do who can read it.'
  }
}

resource addressDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: publicIp
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: bastion
  properties: {
    workspaceId: house.workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
