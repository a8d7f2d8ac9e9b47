metadata name = 'Protection'
metadata description = 'Images of the servers, here and in a second region.'

import { Backup, House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. What to keep images of, and where.')
param backup Backup

@description('Required. Name of each server.')
param serverNames string[]

@description('Required. Resource group of the servers.')
param computeGroup string

@description('Required. Storage account that changes of disks pass through.')
param cacheAccount string

/*** RESOURCES ***/
module images 'backup.bicep' = if (backup.servers) {
  name: 'backup'
  params: { house: house, serverNames: serverNames, computeGroup: computeGroup, redundancy: 'GeoRedundant' }
}

module siteRecovery 'siteRecovery.bicep' = if (backup.?recovery != null) {
  name: 'site-recovery'
  params: {
    house: house
    recovery: backup.?recovery!
    serverNames: serverNames
    computeGroup: computeGroup
    cacheAccount: cacheAccount
  }
}
