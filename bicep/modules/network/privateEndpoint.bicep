metadata name = 'Private endpoint'
metadata description = 'Puts one service into the data subnet, under its usual name.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Resource id of the service.')
param serviceId string

@description('Required. The part of the service that answers: vault, blob, queue, table, file.')
param part string

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of this part.')
param zoneId string

/*** VARIABLES ***/
var service = last(split(serviceId, '/'))

/*** RESOURCES ***/
resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: 'pe-${service}-${part}'
  location: house.location
  tags: house.tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: 'nic-pe-${service}-${part}'
    privateLinkServiceConnections: [
      { name: part, properties: { privateLinkServiceId: serviceId, groupIds: [part] } }
    ]
  }
}

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = {
  parent: endpoint
  name: 'default'
  properties: { privateDnsZoneConfigs: [{ name: part, properties: { privateDnsZoneId: zoneId } }] }
}
