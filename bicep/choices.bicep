metadata name = 'Choices'
metadata description = 'The parameters of main.bicep by area, as platform.bicep takes them. What each means is said at the parameter.'

import { Releases } from 'machineTypes.bicep'
import { Backup, ClientPool, Federation, Gateway, Logs, Subnets } from 'types.bicep'

@export()
@description('The resource group of each area.')
type Groups = {
  @minLength(1)
  @description('Required. Subnets, guards, ways in and out, names.')
  network: string
  @minLength(1)
  @description('Required. Machines and the keeper.')
  compute: string
  @minLength(1)
  @description('Required. Storage accounts and backups.')
  storage: string
  @minLength(1)
  @description('Required. Vaults and identities.')
  security: string
  @minLength(1)
  @description('Required. Logs, alerts and the workbook.')
  monitoring: string
}

@export()
@description('Who runs the cluster, and from where.')
type People = {
  sshPublicKey: string
  adminGroupId: string
  adminUsername: string
  operatorSources: string[]
  alertEmails: string[]
}

@export()
@description('The network, its ways in and its ways out.')
type NetworkChoices = {
  addressPrefix: string
  subnets: Subnets
  egress: 'NatGateway' | 'AzureFirewall'
  access: 'Bastion' | 'JumpBox'
  applicationPorts: string[]
  applicationGateway: Gateway?
  federation: Federation?
}

@export()
@description('Servers, clients, and what runs on them.')
type MemberChoices = {
  nomad: { region: string, datacenter: string }
  serverCount: 3 | 5
  serverSku: string
  serverDisk: 'Premium_LRS' | 'PremiumV2_LRS' | 'UltraSSD_LRS'
  @description('Zones to take in turn; empty for availability sets.')
  zones: string[]
  ubuntu: '22.04' | '24.04'
  clientPools: ClientPool[]
  releases: Releases
  consul: ConsulChoices
  vault: bool
}

@export()
@description('Where Consul runs, and how.')
type ConsulChoices = {
  @description('Required. CoLocated on the servers, Dedicated machines, or Off.')
  mode: 'CoLocated' | 'Dedicated' | 'Off'
  @description('Required. Whether its service mesh is on.')
  mesh: bool
  @description('Optional. Name of its datacenter, one for the whole cluster; that of Nomad by default.')
  datacenter: string?
}

@export()
@description('What is kept, where, and for how long.')
type StateChoices = {
  redundancy: 'Standard_GZRS' | 'Standard_RAGZRS' | 'Standard_GRS' | 'Standard_RAGRS'
  retentionDays: RetentionDays
  copyLocation: string
  files: bool
  customerKeys: 'Off' | 'Software' | 'Hardware'
  backup: Backup
}

@export()
@description('Days that a snapshot of each tier, and a line of the audit log, can be neither changed nor deleted.')
type RetentionDays = {
  @description('Required. Days that an hourly snapshot is kept unchanged.')
  @minValue(1)
  hourly: int
  @description('Required. The same for daily ones.')
  @minValue(1)
  daily: int
  @description('Required. The same for weekly ones.')
  @minValue(1)
  weekly: int
  @description('Required. The same for monthly ones.')
  @minValue(1)
  monthly: int
  @description('Required. Days that a line of the audit log is kept.')
  @minValue(1)
  audit: int
}

@export()
@description('The keeper itself, and what it is told.')
type KeeperChoices = {
  apiClientId: string
  packageUrl: string
  settings: object
  eventSubscriptions: bool
  logs: Logs
}
