metadata name = 'Checks'
metadata description = 'What no type can say about the parameters. Each problem names its parameter; main.bicep refuses them all at once.'

import { RetentionDays } from 'choices.bicep'
import { ReleaseMirror, Releases } from 'machineTypes.bicep'
import { digits, only, ports } from 'spelling.bicep'
import { ClientPool, Recovery, Subnets } from 'types.bicep'

@description('An IPv4 address as a number.')
func number(address string) int =>
  reduce(map(split(address, '.'), part => int(part)), 0, (sum, part) => int(sum) * 256 + int(part))

@description('Whether two prefixes share an address.')
func overlap(one string, other string) bool =>
  number(parseCidr(one).network) <= number(parseCidr(other).broadcast) && number(parseCidr(other).network) <= number(parseCidr(one).broadcast)

@description('Whether a prefix lies inside another.')
func inside(inner string, outer string) bool =>
  number(parseCidr(inner).network) >= number(parseCidr(outer).network) && number(parseCidr(inner).broadcast) <= number(parseCidr(outer).broadcast)

@description('Longest prefix that Azure or the cluster can work with, by subnet.')
func longest(subnet string) int =>
  { bastion: 26, firewall: 26, functions: 27, gateway: 26, servers: 28, data: 27, management: 28, clients: 28 }[subnet]

@description('Whether a text is a whole number up to the given one.')
func upTo(text string, most int) bool => digits(text) && length(text) < 4 ? int(text) <= most : false

@description('Whether a text is an IPv4 address.')
func address(text string) bool =>
  length(split(text, '.')) == 4 && empty(filter(split(text, '.'), part => !upTo(part, 255)))

@description('Whether a text is an IPv4 prefix.')
func prefix(text string) bool =>
  length(split(text, '/')) == 2 && address(split(text, '/')[0]) && upTo(last(split(text, '/')), 32)

@description('Whether a text is an IPv4 prefix that begins where its mask says.')
func network(text string) bool => prefix(text) ? parseCidr(text).network == split(text, '/')[0] : false

@export()
@description('Prefixes that are none. Nothing else about addresses can be asked before these are right.')
func prefixProblems(addressPrefix string, subnets Subnets) string[] =>
  map(
    filter(
      concat(
        [{ name: 'addressPrefix', given: addressPrefix }],
        map(items(subnets), subnet => { name: 'subnets.${subnet.key}', given: string(subnet.value) })
      ),
      each => !network(each.given)
    ),
    each => '${each.name} (${each.given}) must be an IPv4 prefix such as 10.0.0.0/16'
  )

@export()
@description('Subnets that overlap, that are too small, or that lie outside the network.')
func subnetProblems(network string, subnets Subnets) string[] =>
  concat(
    map(
      filter(items(subnets), subnet => !inside(string(subnet.value), network)),
      subnet => 'subnets.${subnet.key} (${subnet.value}) must lie inside addressPrefix (${network})'
    ),
    map(
      filter(items(subnets), subnet => parseCidr(string(subnet.value)).cidr > longest(subnet.key)),
      subnet => 'subnets.${subnet.key} (${subnet.value}) is too small: /${longest(subnet.key)} or larger'
    ),
    flatten(map(
      items(subnets),
      one =>
        map(
          filter(items(subnets), other => one.key < other.key && overlap(string(one.value), string(other.value))),
          other => 'subnets.${one.key} (${one.value}) and subnets.${other.key} (${other.value}) overlap'
        )
    ))
  )

@export()
@description('Pools whose limits contradict each other, that share a name, or that do not fit the subnet of the clients.')
func poolProblems(pools ClientPool[], clients string, known string[]) string[] =>
  concat(
    map(
      filter(pools, pool => pool.max < pool.min),
      pool => 'clientPools: max (${pool.max}) of pool ${pool.name} must be at least its min (${pool.min})'
    ),
    map(
      filter(pools, pool => length(filter(pools, other => other.name == pool.name)) > 1),
      pool => 'clientPools: the name ${pool.name} is given more than once'
    ),
    map(
      filter(pools, pool => pool.?node == null && !contains(known, pool.?sku ?? 'Standard_D4s_v5')),
      pool =>
        'clientPools: size ${pool.?sku ?? ''} of pool ${pool.name} is not in sizes.json; give its node (cores, cpuMhz, memoryMb, diskMb)'
    ),
    map(
      filter(pools, pool => (pool.?rehearsals ?? false) && (pool.?nodePool ?? 'rehearsals') == 'default'),
      pool =>
        'clientPools: nodePool of pool ${pool.name} must not be default: whoever runs where rehearsals are can read every snapshot'
    ),
    map(
      filter(
        pools,
        pool =>
          !(pool.?rehearsals ?? false) && contains(
            map(filter(pools, other => other.?rehearsals ?? false), other => other.?nodePool ?? 'rehearsals'),
            pool.?nodePool ?? 'default'
          )
      ),
      pool =>
        'clientPools: pool ${pool.name} shares the nodePool ${pool.?nodePool ?? 'default'} with a pool of rehearsals; give it another, or rehearsals: true'
    ),
    empty(pools) ? ['clientPools must name at least one pool'] : [],
    reduce(map(pools, pool => pool.max), 0, (sum, most) => int(sum) + int(most)) > number(parseCidr(clients).broadcast) - number(parseCidr(clients).network) - 4
      ? ['subnets.clients (${clients}) is too small for the max of all clientPools together']
      : []
  )

@description('Whether a text is an IPv4 prefix that names somebody: /8 or longer.')
func somebody(source string) bool =>
  !startsWith(source, '0.') && (prefix(source) ? int(last(split(source, '/'))) > 7 : address(source))

@export()
@description('Doors that stand open to everybody, or that nobody can reach.')
func accessProblems(
  access string,
  operatorSources string[],
  gatewaySources string[],
  federatedServers string[],
  applicationPorts string[]
) string[] =>
  concat(
    access == 'JumpBox' && empty(operatorSources)
      ? ['operatorSources must name where people sit when access is JumpBox']
      : [],
    map(
      filter(operatorSources, source => !somebody(source)),
      source => 'operatorSources must not be open to everybody (${source}): give IPv4 prefixes of /8 or longer'
    ),
    map(
      filter(gatewaySources, source => !somebody(source)),
      source =>
        'applicationGateway.sources must not be open to everybody (${source}): give IPv4 prefixes of /8 or longer'
    ),
    map(
      filter(federatedServers, source => !somebody(source)),
      source => 'federation.servers must not be open to everybody (${source}): give IPv4 prefixes of /8 or longer'
    ),
    map(
      filter(applicationPorts, port => !ports(port)),
      port => 'applicationPorts: ${port} is neither a port nor a range such as 9000-9100'
    )
  )

@export()
@description('Servers of another region that have addresses of this one: Azure peers no networks that overlap.')
func federationProblems(addressPrefix string, servers string[]) string[] =>
  map(
    filter(servers, each => prefix(each) ? overlap(each, addressPrefix) : false),
    each =>
      'federation.servers (${each}) must lie outside addressPrefix (${addressPrefix}): give each region addresses of its own'
  )

@description('A region by its short name: West Europe is westeurope.')
func plain(region string) string => toLower(replace(region, ' ', ''))

@export()
@description('Second regions that are the first.')
func regionProblems(location string, copyLocation string, recovery string) string[] =>
  concat(
    plain(copyLocation) == plain(location)
      ? ['copyLocation (${copyLocation}) must be another region than location']
      : [],
    plain(recovery) == plain(location)
      ? ['backup.recovery.location (${recovery}) must be another region than location']
      : []
  )

@export()
@description('What Site Recovery could not start in the second region.')
func recoveryProblems(recovery Recovery?, customerKeys string) string[] =>
  recovery != null && customerKeys != 'Off' && empty(recovery.?diskEncryptionSetId ?? '')
    ? ['backup.recovery.diskEncryptionSetId must be given with customerKeys: a key does not leave its region']
    : []

@description('Whether a text is an exact release: three numbers, and perhaps +ent.')
func release(text string) bool =>
  length(split(text, '.')) == 3 && empty(filter(split(replace(text, '+ent', ''), '.'), part => !digits(part)))

@export()
@description('Releases that are none, or that no machine here can run.')
func releaseProblems(releases Releases) string[] =>
  concat(
    map(
      filter(
        items({ nomad: releases.nomad, consul: releases.consul, vault: releases.vault }),
        each => !release(string(each.value))
      ),
      each => 'releases.${each.key} (${each.value}) must be an exact release such as 1.10.5'
    ),
    contains(['0', '1.0', '1.1', '1.2', '1.3', '1.4', '1.5'], join(take(split(releases.nomad, '.'), 2), '.'))
      ? ['releases.nomad (${releases.nomad}) must be 1.6 or later']
      : []
  )

@export()
@description('Tiers of snapshots that go before those of a more frequent tier.')
func retentionProblems(days RetentionDays) string[] =>
  map(
    filter(
      [
        { more: 'hourly', rarer: 'daily', least: days.hourly, got: days.daily }
        { more: 'daily', rarer: 'weekly', least: days.daily, got: days.weekly }
        { more: 'weekly', rarer: 'monthly', least: days.weekly, got: days.monthly }
      ],
      pair => pair.got < pair.least
    ),
    pair => 'retentionDays: ${pair.rarer} (${pair.got}) must be at least ${pair.more} (${pair.least})'
  )

@export()
@description('Choices about zones and disks that exclude each other.')
func placementProblems(placement string, zones string[]?, pools ClientPool[], disk string) string[] =>
  concat(
    placement == 'AvailabilitySet' && !empty(zones ?? [])
      ? ['zones must not be given with placement AvailabilitySet: Azure puts a machine into one or the other']
      : [],
    placement == 'Zones' && zones != null && empty(zones ?? [])
      ? ['zones must name at least one zone with placement Zones']
      : [],
    length(zones ?? []) == 2 || length(zones ?? []) != length(union(zones ?? [], zones ?? []))
      ? [
          'zones must be one zone or all three: of two, one would hold most of the servers (a pool may have zones of its own)'
        ]
      : [],
    placement == 'AvailabilitySet' && !empty(filter(pools, pool => !empty(pool.?zones ?? [])))
      ? ['clientPools: zones must not be given with placement AvailabilitySet']
      : [],
    placement == 'AvailabilitySet' && disk != 'Premium_LRS' ? ['serverDisk ${disk} needs placement Zones'] : []
  )

@description('Whether a text consists of hexadecimal digits in upper case.')
func upperHex(text string) bool => only(text, '0123456789ABCDEF')

@export()
@description('What a machine would refuse about the place that releases come from.')
func mirrorProblems(mirror ReleaseMirror?) string[] =>
  concat(
    startsWith(mirror.?url ?? 'https://', 'https://')
      ? []
      : ['releases.mirror.url (${mirror.?url!}) must begin with https://'],
    startsWith(mirror.?cniUrl ?? 'https://', 'https://')
      ? []
      : ['releases.mirror.cniUrl (${mirror.?cniUrl!}) must begin with https://'],
    upperHex(mirror.?signer.?fingerprint ?? '')
      ? []
      : ['releases.mirror.signer.fingerprint must be 40 hexadecimal digits in upper case, without spaces'],
    length(mirror.?cni.?amd64 ?? '') == 64 || mirror.?cni == null
      ? []
      : ['releases.mirror.cni.amd64 must be a SHA-256 in hexadecimal']
  )
