metadata name = 'Nomad keeper'
metadata description = 'A Nomad cluster that runs itself: network, servers, client pools, secrets, storage, the keeper, monitoring and backup.'

import { ConsulChoices, Groups, RetentionDays } from 'choices.bicep'
import { Releases } from 'machineTypes.bicep'
import {
  accessProblems
  federationProblems
  mirrorProblems
  placementProblems
  poolProblems
  prefixProblems
  recoveryProblems
  regionProblems
  releaseProblems
  retentionProblems
  subnetProblems
} from 'checks.bicep'
import { namesOf } from 'plan.bicep'
import { nameProblems } from 'spelling.bicep'
import { Backup, ClientPool, Federation, Gateway, Logs, Subnets } from 'types.bicep'

/*** PARAMETERS: who and where ***/
@description('Required. SSH public key of the operators. Passwords are off everywhere.')
param sshPublicKey string

@description('Optional. Object id of the Entra group whose members may log in to machines.')
param adminGroupId string = ''

@description('Optional. Name of the cluster: lower-case letters and digits. Prefixes every resource.')
@minLength(2)
@maxLength(8)
param cluster string = 'nomad'

@description('Optional. Stage of the cluster, as a tag.')
param stage 'dev' | 'staging' | 'production' = 'dev'

@description('Optional. Region of every resource.')
param location string = resourceGroup().location

@description('Optional. Tags of every resource, besides cluster and stage.')
param tags object = {}

@description('Optional. Existing resource groups to deploy to, all five or none; the current one by default.')
param resourceGroups Groups?

@description('Optional. Lock on what holds state: network, vaults, state, backups.')
param lock 'None' | 'CanNotDelete' = 'CanNotDelete'

@description('Optional. Name of the administrator account of every machine: none that Azure reserves, and no group of Ubuntu.')
param adminUsername string = 'azureuser'

/*** PARAMETERS: network ***/
@description('Optional. Address space of the network.')
param addressPrefix string = '10.0.0.0/16'

@description('Optional. Prefix of every subnet.')
param subnets Subnets = {
  management: '10.0.1.0/24'
  servers: '10.0.10.0/24'
  clients: '10.0.20.0/24'
  data: '10.0.30.0/24'
  bastion: '10.0.2.0/26'
  functions: '10.0.3.0/26'
  firewall: '10.0.4.0/26'
  gateway: '10.0.5.0/24'
}

@description('Optional. The way out: a NAT gateway, or Azure Firewall that names every destination.')
param egress 'NatGateway' | 'AzureFirewall' = 'NatGateway'

@description('Optional. How people reach the machines: Azure Bastion, or a jump box for those who come by VPN or ExpressRoute.')
param access 'Bastion' | 'JumpBox' = 'Bastion'

@description('Optional. Address prefixes of people: they alone reach Bastion or the jump box, the API, and the page that code is published to. Empty: nobody.')
param operatorSources string[] = []

@description('Optional. Ports that workloads on clients listen on, besides the dynamic range.')
param applicationPorts string[] = []

@description('Optional. Application Gateway with a web application firewall for workloads.')
param applicationGateway Gateway?

@description('Optional. Other regions to federate with: their networks, their servers, and which region owns ACLs.')
param federation Federation?

/*** PARAMETERS: servers and clients ***/
@description('Optional. Nomad region and datacenter.')
param nomad { region: string, datacenter: string } = { region: 'global', datacenter: 'dc1' }

@description('Optional. Number of servers; an even number would survive no more failures.')
@allowed([3, 5])
param serverCount int = 3

@description('Optional. Size of a server.')
param serverSku string = 'Standard_D2s_v5'

@description('Optional. Kind of the 128 GB data disk of a server.')
param serverDisk 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS' = 'Premium_LRS'

@description('Optional. Availability zones, or an availability set where a region has none.')
param placement 'Zones' | 'AvailabilitySet' = 'Zones'

@description('Optional. Zones to use: all three, which is the default with placement Zones, or just one. Two are refused, since one of them would hold most of the servers and lose the quorum with it.')
param zones ('1' | '2' | '3')[]?

@description('Optional. Release of Ubuntu.')
param ubuntu '22.04' | '24.04' = '22.04'

@description('Optional. The client pools.')
param clientPools ClientPool[] = [{ name: 'general', min: 3, max: 10 }]

@description('Optional. Exact releases that machines run, and where they come from.')
param releases Releases = { nomad: '1.10.5', consul: '1.21.4', vault: '1.20.3' }

@description('Optional. Where Consul runs (CoLocated on the servers, Dedicated machines, Off), and whether its mesh is on.')
param consul ConsulChoices = { mode: 'CoLocated', mesh: false }

@description('Optional. HashiCorp Vault on the servers.')
param vault bool = false

/*** PARAMETERS: state and secrets ***/
@description('Optional. How copies of the state are kept: GZRS and RA-GZRS over zones too, GRS and RA-GRS where a region has none.')
param storageRedundancy 'Standard_GZRS' | 'Standard_RAGZRS' | 'Standard_GRS' | 'Standard_RAGRS' = 'Standard_GZRS'

@description('Optional. Days that the keeper keeps a snapshot of each tier; meanwhile neither it nor a line of the audit log can be changed or deleted.')
param retentionDays RetentionDays = {
  hourly: 2
  daily: 14
  weekly: 60
  monthly: 365
  audit: 365
}

@description('Optional. Region of a second copy of snapshots, under another identity; empty for none.')
param copyLocation string = ''

@description('Optional. A share on Azure Files that clients mount.')
param files bool = false

@description('Optional. Keys of ours for managed disks: off, in software, or all keys in a hardware module.')
param customerKeys 'Off' | 'Software' | 'Hardware' = 'Off'

/*** PARAMETERS: the keeper and monitoring ***/
@description('Optional. Client id of the app registration of the API (docs/deploy.md makes it). Empty closes every HTTP door.')
param apiClientId string = ''

@description('Optional. URL of a package to deploy; empty when code is published by a command.')
param packageUrl string = ''

@description('Optional. Settings of the keeper that differ from their defaults, by environment name (docs/settings.md).')
param keeperSettings object = {}

@description('Optional. Logs: days that they can be searched, most of a day in GB (-1: no limit), and flow logs of the network.')
param logs Logs = { retentionDays: 90, dailyQuotaGb: -1 }

@description('Optional. Mail addresses that alerts for people go to.')
param alertEmails string[] = []

@description('Optional. Subscribe the keeper to events. A second step: Azure refuses while the code is not published yet, and lets one cluster of a subscription hear of its health.')
param eventSubscriptions bool = false

@description('Optional. Daily images of the servers, and Site Recovery to a second region.')
param backup Backup = { servers: true }

/*** VARIABLES ***/
var malformed = prefixProblems(addressPrefix, subnets)
var problems = !empty(malformed)
  ? malformed
  : concat(
      subnetProblems(addressPrefix, subnets),
      nameProblems(cluster, adminUsername, nomad, consul.?datacenter, clientPools),
      poolProblems(clientPools, subnets.clients, objectKeys(loadJsonContent('sizes.json'))),
      placementProblems(placement, zones, clientPools, serverDisk),
      accessProblems(
        access,
        operatorSources,
        applicationGateway.?sources ?? [],
        federation.?servers ?? [],
        applicationPorts
      ),
      federationProblems(addressPrefix, federation.?servers ?? []),
      regionProblems(location, copyLocation, backup.?recovery.?location ?? ''),
      recoveryProblems(backup.?recovery, customerKeys),
      releaseProblems(releases),
      mirrorProblems(releases.?mirror),
      retentionProblems(retentionDays),
      consul.mode == 'Off' && consul.mesh ? ['consul.mesh needs Consul: mode must not be Off'] : []
    )
var name = empty(problems) ? toLower(cluster) : fail(join(problems, '; '))
var names = namesOf(name, take(uniqueString(resourceGroup().id, name), 8), resourceGroup().id)
var here = resourceGroup().name
var groups = resourceGroups ?? { network: here, compute: here, storage: here, security: here, monitoring: here }

/*** RESOURCES ***/
module platform 'platform.bicep' = {
  name: 'platform'
  params: {
    house: {
      cluster: name
      location: location
      tags: union(tags, { cluster: name, stage: stage })
      lock: lock
      workspaceId: resourceId(groups.monitoring, 'Microsoft.OperationalInsights/workspaces', 'log-${name}')
    }
    names: names
    groups: groups
    people: {
      sshPublicKey: sshPublicKey
      adminGroupId: adminGroupId
      adminUsername: adminUsername
      operatorSources: operatorSources
      alertEmails: alertEmails
    }
    network: {
      addressPrefix: addressPrefix
      subnets: subnets
      egress: egress
      access: access
      applicationPorts: applicationPorts
      applicationGateway: applicationGateway
      federation: federation
    }
    members: {
      nomad: nomad
      serverCount: serverCount
      serverSku: serverSku
      serverDisk: serverDisk
      zones: placement == 'Zones' ? zones ?? ['1', '2', '3'] : []
      ubuntu: ubuntu
      clientPools: clientPools
      releases: releases
      consul: consul
      vault: vault
    }
    state: {
      redundancy: storageRedundancy
      retentionDays: retentionDays
      copyLocation: copyLocation
      files: files
      customerKeys: customerKeys
      backup: backup
    }
    keeper: {
      apiClientId: apiClientId
      packageUrl: packageUrl
      settings: keeperSettings
      eventSubscriptions: eventSubscriptions
      logs: logs
    }
  }
}

/*** WHAT THIS DEPLOYMENT PROMISES ***/
@description('Name of the function app: publish the code to it.')
output functionAppName string = names.app

@description('Address of the Nomad API, inside the network.')
output nomadAddress string = platform.outputs.nomadAddress

@description('Name of each vault, by audience.')
output vaultNames object = names.vaults

@description('Resource id of the network: another region peers with it.')
output networkId string = platform.outputs.networkId
