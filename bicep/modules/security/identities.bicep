metadata name = 'Identities'
metadata description = 'Every identity of the platform: one for one role, so that each can be given just what it needs.'

import { Identities, Parts } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Name of the cluster.')
param cluster string

@description('Required. Region.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Which optional parts are on.')
param parts Parts

/*** RESOURCES ***/
module keeper 'identity.bicep' = {
  name: 'identity-keeper'
  params: { name: 'id-${cluster}-keeper', location: location, tags: tags }
}

module servers 'identity.bicep' = {
  name: 'identity-servers'
  params: { name: 'id-${cluster}-servers', location: location, tags: tags }
}

module clients 'identity.bicep' = {
  name: 'identity-clients'
  params: { name: 'id-${cluster}-clients', location: location, tags: tags }
}

module events 'identity.bicep' = {
  name: 'identity-events'
  params: { name: 'id-${cluster}-events', location: location, tags: tags }
}

module alerts 'identity.bicep' = {
  name: 'identity-alerts'
  params: { name: 'id-${cluster}-alerts', location: location, tags: tags }
}

module consul 'identity.bicep' = if (parts.consul) {
  name: 'identity-consul'
  params: { name: 'id-${cluster}-consul', location: location, tags: tags }
}

module jumpBox 'identity.bicep' = if (parts.jumpBox) {
  name: 'identity-jumpbox'
  params: { name: 'id-${cluster}-jumpbox', location: location, tags: tags }
}

module disks 'identity.bicep' = if (parts.disks) {
  name: 'identity-disks'
  params: { name: 'id-${cluster}-disks', location: location, tags: tags }
}

module gateway 'identity.bicep' = if (parts.gateway) {
  name: 'identity-gateway'
  params: { name: 'id-${cluster}-gateway', location: location, tags: tags }
}

module copies 'identity.bicep' = if (parts.copies) {
  name: 'identity-copy'
  params: { name: 'id-${cluster}-copy', location: location, tags: tags }
}

module drill 'identity.bicep' = if (parts.drill) {
  name: 'identity-drill'
  params: { name: 'id-${cluster}-drill', location: location, tags: tags }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Every identity by its role; null for roles that nobody has.')
output all Identities = {
  keeper: keeper.outputs.it
  servers: servers.outputs.it
  clients: clients.outputs.it
  events: events.outputs.it
  alerts: alerts.outputs.it
  consul: parts.consul ? consul!.outputs.it : null
  jumpBox: parts.jumpBox ? jumpBox!.outputs.it : null
  disks: parts.disks ? disks!.outputs.it : null
  gateway: parts.gateway ? gateway!.outputs.it : null
  copies: parts.copies ? copies!.outputs.it : null
  drill: parts.drill ? drill!.outputs.it : null
}
