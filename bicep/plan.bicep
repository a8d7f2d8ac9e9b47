metadata name = 'Plan'
metadata description = 'What follows from the parameters: pools with every default filled in, and the setting that the keeper reads them from.'

import { MemberChoices } from 'choices.bicep'
import { Peer, PlannedPool, SharedKnobs } from 'machineTypes.bicep'
import { ports } from 'ports.bicep'
import { AccountNames, ClientPool, KeeperRoles, VaultNames } from 'types.bicep'

@export()
@description('The pools with every default filled in.')
func poolsOf(pools ClientPool[], zones string[], datacenter string, shapes object) PlannedPool[] =>
  map(pools, (pool, index) => {
    name: pool.name
    min: pool.min
    max: pool.max
    mode: pool.?mode ?? 'Flexible'
    sku: pool.?sku ?? 'Standard_D4s_v5'
    spot: (pool.?priority ?? 'Regular') == 'Spot'
    zones: pool.?zones ?? zones
    nodeClass: pool.?nodeClass ?? pool.name
    nodePool: pool.?nodePool ?? ((pool.?rehearsals ?? false) ? 'rehearsals' : 'default')
    datacenter: pool.?datacenter ?? datacenter
    rehearsals: pool.?rehearsals ?? false
    order: pool.?order ?? index
    price: pool.?price
    node: pool.?node ?? shapes[pool.?sku ?? 'Standard_D4s_v5']
  })

@export()
@description('The setting POOLS of the keeper; keeper/pools.py says what each key means.')
func poolsSetting(pools PlannedPool[], cluster string, resourceGroupName string) string =>
  string(map(
    pools,
    pool =>
      union(
        {
          name: pool.name
          scaleSet: 'vmss-${cluster}-${pool.name}'
          resourceGroup: resourceGroupName
          mode: pool.mode
          min: pool.min
          max: pool.max
          priority: pool.spot ? 'spot' : 'regular'
          zones: pool.zones
          order: pool.order
          sku: pool.sku
          nodeClass: pool.nodeClass
          nodePool: pool.nodePool
          datacenter: pool.datacenter
        },
        pool.?price == null ? {} : { price: json(pool.?price ?? '0') }
      )
  ))

@export()
@description('`count` consecutive addresses of a prefix, from its `first` usable one.')
func addressesOf(prefix string, first int, count int) string[] =>
  map(range(first, count), offset => cidrHost(prefix, offset))

@export()
@description('Names that must be unique in the world, or known before anything is deployed.')
type Names = {
  @description('The function app.')
  app: string
  vaults: VaultNames
  accounts: AccountNames
  roles: KeeperRoles
  @description('When servers are patched; servers take the windows in turn.')
  windows: string[]
}

@export()
@description('Names that must be unique in the world, or known before anything is deployed.')
func namesOf(cluster string, token string, seed string) Names => {
  app: 'func-${cluster}-${token}'
  vaults: {
    keeper: 'kv-${cluster}-kpr-${token}'
    servers: 'kv-${cluster}-srv-${token}'
    clients: 'kv-${cluster}-cli-${token}'
    consul: 'kv-${cluster}-con-${token}'
  }
  accounts: {
    state: 'st${cluster}state${token}'
    artifacts: 'st${cluster}arti${token}'
    host: 'st${cluster}host${token}'
    files: 'st${cluster}files${token}'
    second: 'st${cluster}copy${token}'
    cache: 'st${cluster}cache${token}'
    flows: 'st${cluster}flows${token}'
  }
  // The keeper's own roles: known beforehand so that what-if can look into every module.
  roles: {
    machines: guid(seed, cluster, 'machines')
    joins: guid(seed, cluster, 'joins')
    authority: guid(seed, cluster, 'authority')
    publisher: guid(seed, cluster, 'publisher')
  }
  windows: map(range(1, 3), number => 'mc-${cluster}-${number}')
}

@export()
@description('Servers by name, and by the name that others dial.')
func peersOf(cluster string, role string, count int, domain string) Peer[] =>
  map(range(1, count), number => {
    name: '${cluster}-${role}-${number}'
    address: '${cluster}-${role}-${number}.${domain}'
  })

@export()
@description('DNS records of servers.')
func recordsOf(peers Peer[], addresses string[]) object[] =>
  map(range(0, length(addresses)), index => {
    name: peers[index].name
    addresses: [addresses[index]]
  })

@export()
@description('Zones of private endpoints, by kind of service.')
func endpointZonesOf(storageDomain string, files bool) object =>
  union(
    {
      vault: 'privatelink.vaultcore.azure.net'
      blob: 'privatelink.blob.${storageDomain}'
      queue: 'privatelink.queue.${storageDomain}'
      table: 'privatelink.table.${storageDomain}'
    },
    files ? { file: 'privatelink.file.${storageDomain}' } : {}
  )

@export()
@description('Hosts of web addresses, without ports; empty addresses have none.')
func hostsOf(urls string[]) string[] =>
  map(filter(urls, url => startsWith(url, 'https://')), url => split(split(url, '/')[2], ':')[0])

@export()
@description('Whether the release keeps Nomad\'s root keys in files that no snapshot holds: so it was before 1.9.')
func keysInFiles(nomadVersion string) bool =>
  contains(['1.6', '1.7', '1.8'], join(take(split(nomadVersion, '.'), 2), '.'))

@export()
@description('What every member must know.')
func knobsOf(cluster string, members MemberChoices, servers Peer[], dedicated Peer[]) SharedKnobs => {
  cluster: cluster
  region: members.nomad.region
  datacenter: members.nomad.datacenter
  servers: servers
  consul: { CoLocated: 'colocated', Dedicated: 'dedicated', Off: 'off' }[members.consul.mode]
  consulServers: members.consul.mode == 'Dedicated' ? dedicated : members.consul.mode == 'CoLocated' ? servers : []
  consulDatacenter: members.consul.?datacenter ?? members.nomad.datacenter
  consulMesh: members.consul.mesh
  nomadVersion: members.releases.nomad
  consulVersion: members.releases.consul
  vaultVersion: members.releases.vault
  releasesUrl: members.releases.?mirror.?url
  releaseKey: members.releases.?mirror.?signer.?key
  releaseFingerprint: members.releases.?mirror.?signer.?fingerprint
  cniUrl: members.releases.?mirror.?cniUrl
  cni: members.releases.?mirror.?cni
  ports: ports
}
