metadata name = 'Plan'
metadata description = 'What follows from the parameters: pools with every default filled in, and the setting that the keeper reads them from.'

import { ClientPool } from 'types.bicep'
import { Peer, PlannedPool } from 'machineTypes.bicep'

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
    nodePool: pool.?nodePool ?? 'default'
    datacenter: pool.?datacenter ?? datacenter
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
func namesOf(cluster string, token string, seed string) object => {
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
