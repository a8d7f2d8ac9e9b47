metadata name = 'Machine types'
metadata description = 'How machines are made, and what they are told.'

import { NodeShape } from 'types.bicep'

@export()
@description('How every machine of the cluster is made.')
type MachineHouse = {
  adminUsername: string
  sshPublicKey: string
  ubuntu: '22.04' | '24.04'
  @description('Resource id of the data collection rule; metrics and logs follow it.')
  collectionRuleId: string
  @description('Resource id of the disk encryption set; empty for keys of the platform.')
  diskEncryptionSetId: string
}

@export()
@description('Exact releases that machines install; each is verified by checksum and signature.')
type Releases = {
  @description('1.6 to 2.x.')
  nomad: string
  @description('1.16 to 1.22.')
  consul: string
  @description('HashiCorp Vault, where it runs.')
  vault: string
}

@export()
@description('A server: its name, and the name that others dial.')
type Peer = {
  name: string
  address: string
}

@export()
@description('A Key Vault key that wraps other keys.')
type SealKey = {
  vaultName: string
  keyName: string
  tenantId: string
}

@export()
@description('What every member must know; each role adds its own.')
type SharedKnobs = {
  cluster: string
  nomadVersion: string
  servers: Peer[]
  region: string
  datacenter: string
  consul: 'colocated' | 'dedicated' | 'off'
  consulVersion: string
  consulDatacenter: string
  consulServers: Peer[]
  consulMesh: bool
  vaultVersion: string
  ports: object
}

@export()
@description('What a machine must know to become a member, and may change later without a reboot; cloud-init/node/keepernode/knobs.py says what each means. No secret is among it: a machine fetches its own.')
type Knobs = {
  cluster: string
  vaultUrl: string
  identityClientId: string
  nomadVersion: string
  servers: Peer[]
  region: string
  datacenter: string
  queueUrl: string?
  consul: 'colocated' | 'dedicated' | 'off'
  consulVersion: string
  consulDatacenter: string
  consulServers: Peer[]
  consulMesh: bool
  vaultVersion: string
  vaultSeal: SealKey?
  keyringKey: SealKey?
  nodePool: string?
  nodeClass: string?
  pool: string?
  nodeMeta: object?
  dataDiskLun: int?
  ports: object
}

@export()
@description('A client pool with every default filled in.')
type PlannedPool = {
  name: string
  min: int
  max: int
  mode: 'Flexible' | 'Uniform'
  sku: string
  spot: bool
  zones: string[]
  nodeClass: string
  nodePool: string
  datacenter: string
  order: int
  price: string?
  node: NodeShape
}

@export()
@description('Azure names of one vault of keys for servers.')
type ServersVault = {
  vaultName: string
  tenantId: string
}
