metadata name = 'The keeper'
metadata description = 'The function app, and every setting that differs from what keeper/settings.py takes by default.'

import { KeeperChoices, MemberChoices, RetentionDays } from '../../choices.bicep'
import { Names } from '../../plan.bicep'
import { House, Identities, Parts } from '../../types.bicep'
import { ports } from '../../ports.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Names that must be unique in the world.')
param names Names

@description('Required. Which optional parts are on.')
param parts Parts

@description('Required. Every identity.')
param identities Identities

@description('Required. What the keeper is told.')
param keeper KeeperChoices

@description('Required. What runs on the machines.')
param members MemberChoices

@description('Required. The pools, as the setting POOLS takes them.')
param pools string

@description('Required. Address prefixes of people.')
param operatorSources string[]

@description('Required. Private address of the Nomad API.')
param apiAddress string

@description('Required. Private DNS zone of the cluster.')
param domain string

@description('Required. Queue that every door writes to, and container of records.')
param corridor { queue: string, container: string }

@description('Required. Days that snapshots of each tier are kept.')
param retentionDays RetentionDays

@description('Required. Subnet delegated to the app, by resource id.')
param subnetId string

@description('Required. Connection string of Application Insights, which opens nothing since keys are off.')
param insightsConnection string

/*** VARIABLES ***/
var storageDomain = environment().suffixes.storage
var vaultDomain = environment().suffixes.keyvaultDns
var stateBlobs = 'https://${names.accounts.state}.blob.${storageDomain}'

// Triggers read these by name, so they must be set even where the keeper has the same default.
var schedules = {
  AUTOSCALE_SCHEDULE: '*/30 * * * * *'
  SNAPSHOT_SCHEDULE: '0 20 * * * *'
  REHEARSAL_SCHEDULE: '0 50 * * * *'
  CERTIFICATES_SCHEDULE: '0 */5 * * * *'
}

// As long as snapshots are immutable; keeperSettings may keep them longer, since what is immutable cannot be swept.
var kept = {
  SNAPSHOT_KEEP_HOURLY_SECONDS: string(retentionDays.hourly * 86400)
  SNAPSHOT_KEEP_DAILY_SECONDS: string(retentionDays.daily * 86400)
  SNAPSHOT_KEEP_WEEKLY_SECONDS: string(retentionDays.weekly * 86400)
  SNAPSHOT_KEEP_MONTHLY_SECONDS: string(retentionDays.monthly * 86400)
}

var settings = {
  POOLS: pools
  NOMAD_ADDRESS: 'https://${apiAddress}:${ports.nomadHttp}'
  NOMAD_REGION: members.nomad.region
  AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
  AZURE_CLIENT_ID: identities.keeper.clientId
  ARM_ENDPOINT: environment().resourceManager
  KEY_VAULT_URL: 'https://${names.vaults.keeper}${vaultDomain}'
  SERVERS_VAULT_URL: 'https://${names.vaults.servers}${vaultDomain}'
  CLIENTS_VAULT_URL: 'https://${names.vaults.clients}${vaultDomain}'
  CONSUL_VAULT_URL: parts.consul ? 'https://${names.vaults.consul}${vaultDomain}' : ''
  CERTIFICATES_FOR_VAULT: parts.vault ? 'true' : 'false'
  CLUSTER_DOMAIN: domain
  CA_KEY: 'nomad-ca'
  KEEPER_STORAGE__credential: 'managedidentity'
  KEEPER_STORAGE__clientId: identities.keeper.clientId
  KEEPER_STORAGE__blobServiceUri: stateBlobs
  KEEPER_STORAGE__queueServiceUri: 'https://${names.accounts.state}.queue.${storageDomain}'
  KEEPER_CONTAINER: corridor.container
  KEEPER_QUEUE: corridor.queue
  HTTP_REQUIRE_APP_ROLES: 'true'
  SNAPSHOT_CLUSTER: house.cluster
  SNAPSHOT_KEY: 'nomad-snapshots'
  SNAPSHOT_COPY_BLOB_URL: parts.copies ? 'https://${names.accounts.second}.blob.${storageDomain}' : ''
  SNAPSHOT_COPY_CLIENT_ID: identities.?copies.?clientId ?? ''
  CONSUL_ADDRESS: members.consul.mode == 'Off' ? '' : 'https://consul.${domain}:${ports.consulHttps}'
  CONSUL_TLS_NAME: 'server.${members.consul.?datacenter ?? members.nomad.datacenter}.consul'
  REHEARSAL_JOB: parts.drill ? 'restore-drill' : ''
}

/*** RESOURCES ***/
module app 'app.bicep' = {
  name: 'app'
  params: {
    house: house
    name: names.app
    identity: identities.keeper
    copier: identities.?copies
    copies: parts.copies
    subnetId: subnetId
    hostAccount: names.accounts.host
    storageDomain: storageDomain
    insightsConnection: insightsConnection
    settings: union(schedules, kept, keeper.settings, settings)
    apiClientId: keeper.apiClientId
    operatorSources: operatorSources
    packageUrl: keeper.packageUrl
    zoneRedundant: !empty(members.zones)
  }
}

/*** WHAT THIS MODULE PROMISES ***/
@description('Resource id of the app.')
output id string = app.outputs.id

@description('Public host name of the app.')
output hostName string = app.outputs.hostName
