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
  @description('Optional. Another place than the makers\' own to fetch releases from.')
  mirror: ReleaseMirror?
}

@export()
@description('Where machines fetch releases from, and whose signature they trust then. What is not given stays with the makers.')
type ReleaseMirror = {
  @description('Optional. Base address of Nomad, Consul and Vault, over HTTPS, with the layout of releases.hashicorp.com.')
  url: string?
  @description('Optional. Who signs there instead of HashiCorp.')
  signer: ReleaseSigner?
  @description('Optional. Base address of the CNI plugins, over HTTPS, with the layout of their releases on GitHub.')
  cniUrl: string?
  @description('Optional. Release of the CNI plugins; nobody signs them, so their digests are pinned.')
  cni: CniRelease?
}

@export()
@description('Who signs releases. Both are public.')
type ReleaseSigner = {
  @description('Required. OpenPGP key ring as `gpg --export | base64 -w0` prints it.')
  key: string
  @description('Required. Fingerprint of the primary key: 40 hexadecimal digits in upper case.')
  @minLength(40)
  @maxLength(40)
  fingerprint: string
}

@export()
@description('A release of the CNI plugins.')
type CniRelease = {
  @description('Required. Such as 1.6.2.')
  version: string
  @description('Required. SHA-256 of the archive for amd64, in hexadecimal.')
  amd64: string
  @description('Required. SHA-256 of the archive for arm64, in hexadecimal.')
  arm64: string
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
  releasesUrl: string?
  releaseKey: string?
  releaseFingerprint: string?
  cniUrl: string?
  cni: CniRelease?
  ports: object
}

@export()
@description('Where servers deposit root keys for snapshots.')
type KeystorePlace = {
  @description('Blob endpoint of the state account.')
  blobUrl: string
  @description('Key that seals them, without a version.')
  keyUrl: string
}

@export()
@description('A share that clients mount over NFS 4.1.')
type FilesShare = {
  host: string
  path: string
}

@export()
@description('What servers must know besides.')
type ServerKnobs = {
  queueUrl: string
  vaultSeal: SealKey?
  keyringKey: SealKey
  keystore: KeystorePlace?
  authoritativeRegion: string?
  federatedServers: string[]?
}

@export()
@description('What clients must know besides.')
type ClientKnobs = {
  vaultSeal: SealKey?
  filesShare: FilesShare?
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
  releasesUrl: string?
  releaseKey: string?
  releaseFingerprint: string?
  cniUrl: string?
  cni: CniRelease?
  vaultSeal: SealKey?
  keyringKey: SealKey?
  keystore: KeystorePlace?
  authoritativeRegion: string?
  federatedServers: string[]?
  filesShare: FilesShare?
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
  rehearsals: bool
  order: int
  price: string?
  node: NodeShape
}
