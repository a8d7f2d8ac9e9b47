metadata name = 'Types'
metadata description = 'The shapes that the parameters of main.bicep and its modules share.'

@export()
@description('The address prefix of every subnet. They must not overlap and must lie inside the address space of the network.')
type Subnets = {
  @description('Jump box and operators.')
  management: string
  @description('Nomad (and co-located Consul) servers.')
  servers: string
  @description('Every client pool.')
  clients: string
  @description('Private endpoints, and the machines of a dedicated Consul.')
  data: string
  @description('Azure Bastion; Azure asks for /26 or larger.')
  bastion: string
  @description('Delegated to the function app; Azure asks for /27 or larger.')
  functions: string
  @description('Azure Firewall; used only with egress AzureFirewall. Azure asks for /26 or larger.')
  firewall: string
  @description('Application Gateway; used only when it is switched on. Azure asks for /24 in production.')
  gateway: string
}

@export()
@description('One Nomad client pool: one VM scale set, and the rules the keeper sizes it by.')
type ClientPool = {
  @description('Required. Name of the pool: lower-case letters, digits and hyphens.')
  @minLength(2)
  @maxLength(12)
  name: string
  @description('Required. The keeper never shrinks the pool below this.')
  @minValue(0)
  @maxValue(1000)
  min: int
  @description('Required. The keeper never grows the pool above this.')
  @minValue(1)
  @maxValue(1000)
  max: int
  @description('Optional. Orchestration mode of the scale set; Flexible by default.')
  mode: 'Flexible' | 'Uniform'?
  @description('Optional. Standard_D4s_v5 by default. A size that sizes.json does not list needs `node`.')
  sku: string?
  @description('Optional. Regular by default. Spot machines may be taken back at any time.')
  priority: 'Regular' | 'Spot'?
  @description('Optional. Zones of the pool; those of the servers by default.')
  zones: ('1' | '2' | '3')[]?
  @description('Optional. Nomad node class; the name of the pool by default.')
  nodeClass: string?
  @description('Optional. Nomad node pool; default by default, rehearsals where snapshots are rehearsed.')
  nodePool: string?
  @description('Optional. Nomad datacenter; the one of the cluster by default.')
  datacenter: string?
  @description('Optional. Whether snapshots are rehearsed here, which lets whoever runs here read every snapshot: a pool for nothing else, min 0 is enough. False by default.')
  rehearsals: bool?
  @description('Optional. Pools with a lower number are bought from first; position in the list by default.')
  order: int?
  @description('Optional. Price of one instance an hour, as a decimal number in text, in any one currency; unknown by default.')
  price: string?
  @description('Optional. What one instance offers to Nomad, for sizes that sizes.json does not list.')
  node: NodeShape?
}

@export()
@description('What one instance offers to Nomad: it sizes a pool that has no node yet.')
type NodeShape = {
  @description('Virtual processors.')
  @minValue(1)
  cores: int
  @description('Total of all processors, in MHz.')
  @minValue(100)
  cpuMhz: int
  @description('Memory, in MB.')
  @minValue(256)
  memoryMb: int
  @description('Disk that allocations may use, in MB.')
  @minValue(1024)
  diskMb: int
}

@export()
@description('One right for one identity, and why it exists. `who` is the name of the identity: role assignments are named after it.')
type Grant = {
  who: string
  principalId: string
  role: string
  why: string
}

@export()
@description('Where a module sends its diagnostics and what every resource carries.')
type House = {
  cluster: string
  location: string
  tags: object
  workspaceId: string
  lock: 'None' | 'CanNotDelete'
}

@export()
@description('Application Gateway for workloads.')
type Gateway = {
  @description('Required. Host name of the workloads.')
  hostName: string
  @description('Required. Address prefixes that may call; 0.0.0.0/0 is refused.')
  @minLength(1)
  sources: string[]
  @description('Required. Secret id of the certificate, without a version, in the Key Vault of the clients.')
  certificateSecretId: string
  @description('Required. Port that the workloads\' own router listens on, on every client.')
  @minValue(1)
  @maxValue(65535)
  backendPort: int
  @description('Optional. Path of its health check; / by default.')
  probePath: string?
}

@export()
@description('An identity of this platform.')
type Identity = {
  name: string
  id: string
  principalId: string
  clientId: string
}

@export()
@description('Every identity of the platform by its role; null for roles that nobody has.')
type Identities = {
  keeper: Identity
  servers: Identity
  clients: Identity
  @description('Event Grid, for dead letters.')
  events: Identity
  @description('Alerts, which sign in to the keeper.')
  alerts: Identity
  @description('Machines of a dedicated Consul.')
  consul: Identity?
  jumpBox: Identity?
  @description('The disk encryption set.')
  disks: Identity?
  @description('Application Gateway.')
  gateway: Identity?
  @description('Who writes second copies of snapshots.')
  copies: Identity?
  @description('Who reads and opens snapshots to rehearse a restore; only machines of pools for rehearsals have it.')
  drill: Identity?
}

@export()
@description('Names of vaults, by audience: what stands in a vault is what its audience may read.')
type VaultNames = {
  @description('The keeper alone: CA key, snapshot key, its own tokens.')
  keeper: string
  @description('Servers.')
  servers: string
  @description('Clients.')
  clients: string
  @description('Machines of a dedicated Consul.')
  consul: string
}

@export()
@description('Names of storage accounts, by what stands in them.')
type AccountNames = {
  @description('Snapshots, records, the corridor.')
  state: string
  @description('Artifacts of jobs.')
  artifacts: string
  @description('The functions host.')
  host: string
  @description('Shares that clients mount.')
  files: string
  @description('Second copies of snapshots.')
  second: string
  @description('Changes of disks on their way to a second region.')
  cache: string
  @description('Flow logs of the network.')
  flows: string
}

@export()
@description('Names (GUIDs) of the roles that only the keeper has.')
type KeeperRoles = {
  @description('Over machines.')
  machines: string
  @description('What Azure asks for besides, when a pool grows.')
  joins: string
  @description('In its own vault.')
  authority: string
  @description('In the vaults that machines read.')
  publisher: string
}

@export()
@description('Which optional parts are on.')
type Parts = {
  @description('Machines of a dedicated Consul.')
  consul: bool
  @description('Second copies of snapshots in another region.')
  copies: bool
  @description('Keys of ours for managed disks.')
  disks: bool
  @description('A pool where snapshots are rehearsed.')
  drill: bool
  @description('Application Gateway.')
  gateway: bool
  @description('A jump box instead of Bastion.')
  jumpBox: bool
  @description('Root keys of Nomad beside its snapshots, which hold none before 1.9.')
  keystore: bool
  @description('HashiCorp Vault on the servers.')
  vault: bool
}

@export()
@description('Where Site Recovery would start the servers.')
type Recovery = {
  @description('Required. The second region.')
  location: string
  @description('Required. Existing resource group there, by id.')
  resourceGroupId: string
  @description('Required. Existing network there, by id.')
  networkId: string
  @description('Required. Its subnet for the servers.')
  subnetName: string
  @description('Conditional. Existing disk encryption set there, by id; required with customerKeys, since a key does not leave its region.')
  diskEncryptionSetId: string?
}

@export()
@description('Other regions to federate with.')
type Federation = {
  @description('Required. Their networks, by resource id.')
  networks: string[]
  @description('Required. Addresses of their servers, as prefixes: who may call the servers here.')
  servers: string[]
  @description('Required. Names or addresses of their servers that the servers here join; empty in the region that others join.')
  @maxLength(20)
  join: string[]
  @description('Required. The region that owns ACL policies.')
  authoritativeRegion: string
}

@export()
@description('What is logged, and for how long.')
type Logs = {
  @description('Required. Days that logs can be searched.')
  @minValue(30)
  @maxValue(730)
  retentionDays: int
  @description('Required. Most that one day may bring, in GB; -1 for no limit.')
  dailyQuotaGb: int
  @description('Optional. Flow logs of the network; none by default. Azure makes one network watcher for each region.')
  flowLogs: {
    @description('Required. Resource group of the network watcher, usually NetworkWatcherRG.')
    resourceGroup: string
    @description('Required. Name of the network watcher, usually NetworkWatcher_<region>.')
    watcher: string
  }?
}

@export()
@description('Images of the servers.')
type Backup = {
  @description('Required. A daily image of each server.')
  servers: bool
  @description('Optional. Site Recovery to a second region; none by default.')
  recovery: Recovery?
}
