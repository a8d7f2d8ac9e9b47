metadata name = 'Storage'
metadata description = 'State, artifacts and the functions host, each in an account of its own; shares and a copy in another region when asked for.'

import { RetentionDays } from '../../choices.bicep'
import { AccountNames, House, Identities, Parts } from '../../types.bicep'
import { roles } from '../../roles.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Names of the accounts.')
param names AccountNames

@description('Required. How copies of the state are kept.')
param redundancy
  | 'Standard_GZRS'
  | 'Standard_RAGZRS'
  | 'Standard_GRS'
  | 'Standard_RAGRS'
  | 'Standard_ZRS'
  | 'Standard_LRS'

@description('Required. Days that a snapshot of each tier, and a line of the audit log, can be neither changed nor deleted.')
param retentionDays RetentionDays

@description('Required. Name of the corridor.')
param queueName string

@description('Required. Name of the container of the keeper\'s records.')
param containerName string

@description('Required. Resource id of the data subnet.')
param subnetId string

@description('Required. Resource id of the private DNS zone of each part.')
param zoneIds object

@description('Required. Whether clients mount Azure Files.')
param files bool

@description('Required. Whether the region has zones.')
param zonal bool

@description('Required. Region of the copy account; empty for none.')
param copyLocation string

@description('Required. Whether flow logs of the network are kept, which need an account of their own.')
param flows bool

@description('Required. Whether Site Recovery passes changes of disks through an account.')
param recovery bool

@description('Required. Which optional parts are on.')
param parts Parts

@description('Required. Every identity.')
param identities Identities

/*** VARIABLES ***/
var tiers = {
  hourly: retentionDays.hourly
  daily: retentionDays.daily
  weekly: retentionDays.weekly
  monthly: retentionDays.monthly
}

/*** RESOURCES ***/
module state 'account.bicep' = {
  name: 'state'
  params: {
    house: house
    name: names.state
    redundancy: redundancy
    parts: ['blob', 'queue']
    subnetId: subnetId
    zoneIds: zoneIds
    versions: true
    containers: [containerName]
    grants: []
  }
}

module records 'records.bicep' = {
  name: 'records'
  params: {
    accountName: names.state
    tiers: tiers
    auditDays: retentionDays.audit
    queueName: queueName
    containerGrants: [
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: roles.blobDataContributor
        why: 'The keeper writes records, leases and snapshots. What is immutable stays so for it too.'
      }
    ]
    queueServiceGrants: [
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: roles.queueDataContributor
        why: 'The keeper reads the corridor, and moves what it cannot handle to the poison queue.'
      }
    ]
    queueGrants: [
      {
        who: 'servers'
        principalId: identities.servers.principalId
        role: roles.queueMessageSender
        why: 'The watcher on the leader sends nudges to this queue. It can neither read nor write anywhere else.'
      }
    ]
    keystoreGrants: !parts.keystore
      ? []
      : [
          {
            who: 'servers'
            principalId: identities.servers.principalId
            role: roles.blobDataContributor
            why: 'Servers before Nomad 1.9 deposit their root keys here, sealed by a key of the keeper, and fetch them for a restore.'
          }
        ]
    rehearsalGrants: !parts.drill
      ? []
      : [
          {
            who: 'drill'
            principalId: identities.drill!.principalId
            role: roles.blobDataContributor
            why: 'The restore drill leaves its verdict here, and can write nowhere else.'
          }
        ]
    snapshotGrants: !parts.drill
      ? []
      : [
          {
            who: 'drill'
            principalId: identities.drill!.principalId
            role: roles.blobDataReader
            why: 'The restore drill reads the snapshot that it rehearses. It can change none.'
          }
        ]
    deadLetterGrants: [
      {
        who: 'events'
        principalId: identities.events.principalId
        role: roles.blobDataContributor
        why: 'Event Grid leaves here what it could not deliver.'
      }
    ]
  }
  dependsOn: [state]
}

module artifacts 'account.bicep' = {
  name: 'artifacts'
  params: {
    house: house
    name: names.artifacts
    redundancy: redundancy
    parts: ['blob']
    subnetId: subnetId
    zoneIds: zoneIds
    versions: true
    containers: ['artifacts']
    grants: [
      {
        who: 'clients'
        principalId: identities.clients.principalId
        role: roles.blobDataReader
        why: 'Clients fetch the artifacts of jobs. They cannot change them.'
      }
    ]
  }
}

module host 'account.bicep' = {
  name: 'host'
  params: {
    house: house
    name: names.host
    redundancy: redundancy
    parts: ['blob', 'queue', 'table']
    subnetId: subnetId
    zoneIds: zoneIds
    versions: false
    containers: ['packages']
    grants: [
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: roles.blobDataOwner
        why: 'The functions host keeps packages, keys and timer leases here, and asks for this role by name.'
      }
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: roles.queueDataContributor
        why: 'The functions host keeps its own queues here.'
      }
      {
        who: 'keeper'
        principalId: identities.keeper.principalId
        role: roles.tableDataContributor
        why: 'The functions host keeps its diagnostic events here.'
      }
    ]
  }
}

module shares 'files.bicep' = if (files) {
  name: 'files'
  params: { house: house, name: names.files, zonal: zonal, subnetId: subnetId, zoneId: zoneIds.file }
}

module second 'account.bicep' = if (!empty(copyLocation)) {
  name: 'copy'
  params: {
    house: union(house, { location: empty(copyLocation) ? house.location : copyLocation })
    name: names.second
    redundancy: 'Standard_GRS'
    parts: []
    subnetId: subnetId
    zoneIds: zoneIds
    versions: true
    containers: []
    grants: []
  }
}

// The account stands in another region, its endpoint here: the keeper knows no other way to it.
module secondEntrance '../network/privateEndpoint.bicep' = if (!empty(copyLocation)) {
  name: 'copy-entrance'
  params: {
    house: house
    serviceId: resourceId('Microsoft.Storage/storageAccounts', names.second)
    part: 'blob'
    subnetId: subnetId
    zoneId: zoneIds.blob
  }
  dependsOn: [second]
}

module secondRecords 'copies.bicep' = if (!empty(copyLocation)) {
  name: 'copies'
  params: { accountName: names.second, tiers: tiers, copy: identities.copies! }
  dependsOn: [second]
}

module flowLogs 'account.bicep' = if (flows) {
  name: 'flow-logs'
  params: {
    house: house
    name: names.flows
    redundancy: redundancy
    parts: []
    subnetId: subnetId
    zoneIds: zoneIds
    versions: false
    containers: []
    grants: []
  }
}

module cache 'account.bicep' = if (recovery) {
  name: 'recovery-cache'
  params: {
    house: house
    name: names.cache
    redundancy: redundancy
    parts: ['blob']
    subnetId: subnetId
    zoneIds: zoneIds
    versions: false
    containers: []
    grants: []
  }
}
