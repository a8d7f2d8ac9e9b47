metadata name = 'Private DNS'
metadata description = 'Names of the servers, and of every service that answers inside the network only.'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Tags of every resource.')
param tags object

@description('Required. Zone of the cluster, such as nomad.internal.')
param zone string

@description('Required. Names in that zone and their addresses.')
param records { name: string, addresses: string[] }[]

@description('Required. Zones of private endpoints, by kind of service.')
param endpointZones object

@description('Required. Resource id of the network that may ask.')
param vnetId string

/*** RESOURCES ***/
resource cluster 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zone
  location: 'global'
  tags: tags
}

resource addresses 'Microsoft.Network/privateDnsZones/A@2024-06-01' = [
  for record in records: {
    parent: cluster
    name: record.name
    properties: { ttl: 60, aRecords: map(record.addresses, address => { ipv4Address: address }) }
  }
]

resource clusterLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: cluster
  name: 'cluster'
  location: 'global'
  tags: tags
  properties: { registrationEnabled: false, virtualNetwork: { id: vnetId } }
}

resource endpoints 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for item in items(endpointZones): {
    name: item.value
    location: 'global'
    tags: tags
  }
]

resource endpointLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (item, index) in items(endpointZones): {
    parent: endpoints[index]
    name: 'cluster'
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: vnetId } }
  }
]

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the zone of each kind of service.')
output endpointZoneIds object = toObject(
  items(endpointZones),
  item => item.key,
  item => resourceId('Microsoft.Network/privateDnsZones', item.value)
)
