metadata name = 'Plan'
metadata description = 'What follows from the parameters: pools with every default filled in, and the setting that the keeper reads them from.'

import { ClientPool, PlannedPool } from 'types.bicep'

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
