metadata name = 'Spelling'
metadata description = 'Names and numbers in text that Azure, Ubuntu, Nomad or Consul would refuse only when machines are being made.'

import { ClientPool } from 'types.bicep'

var letters = 'abcdefghijklmnopqrstuvwxyz'
var numerals = '0123456789'

// Azure refuses the first two lines. The groups below stand in every Ubuntu image, where making a user of that name fails.
var taken = split(
  join(
    [
      'administrator admin user user1 user2 user3 user4 user5 test test1 test2 test3 admin1 admin2 actuser adm aspnet'
      'console david guest john owner server sql support sys root backup a 1 123'
      'daemon bin tty disk lp mail news uucp man proxy kmem dialout fax voice cdrom floppy tape sudo audio dip operator list irc'
      'src shadow utmp video sasl plugdev staff games users nogroup crontab input kvm render syslog netdev lxd docker syslog'
      'nomad consul vault'
    ],
    ' '
  ),
  ' '
)

@export()
@description('Whether a text consists of the given characters alone.')
func only(text string, characters string) bool =>
  empty(filter(range(0, length(text)), index => !contains(characters, substring(text, index, 1))))

@export()
@description('Whether a text is digits alone.')
func digits(text string) bool => !empty(text) && only(text, numerals)

@description('Whether a text is a port number.')
func port(text string) bool => digits(text) && length(text) < 6 ? int(text) > 0 && int(text) < 65536 : false

@export()
@description('Whether a text is a port, or a range of them from the lower to the higher.')
func ports(text string) bool =>
  length(split(text, '-')) == 2 && port(first(split(text, '-'))!) && port(last(split(text, '-'))!)
    ? int(first(split(text, '-'))!) < int(last(split(text, '-'))!)
    : port(text)

@export()
@description('Whether a text is a decimal number, as JSON writes it.')
func decimal(text string) bool =>
  length(split(text, '.')) < 3 && empty(filter(split(text, '.'), part => !digits(part))) && (first(split(text, '.')) == '0' || !startsWith(
    text,
    '0'
  ))

@description('Whether a text names a place of Nomad or Consul: it becomes part of names in certificates.')
func place(text string) bool => !empty(text) && length(text) < 64 && only(toLower(text), '${letters}${numerals}_-')

@description('Whether a text names a pool: part of a host name.')
func hostPart(text string) bool =>
  only(text, '${letters}${numerals}-') && !startsWith(text, '-') && !endsWith(text, '-')

@description('Whether a user of this name can be made on every machine.')
func account(text string) bool =>
  !empty(text) && length(text) < 33 && only(text, '${letters}${numerals}_-') && only(take(text, 1), letters) && !contains(
    taken,
    text
  )

@export()
@description('Names that something further on would not take.')
func nameProblems(
  cluster string,
  adminUsername string,
  nomad { region: string, datacenter: string },
  consulDatacenter string?,
  pools ClientPool[]
) string[] =>
  concat(
    only(toLower(cluster), '${letters}${numerals}')
      ? []
      : ['cluster (${cluster}) must be letters and digits: accounts and vaults are named after it'],
    account(adminUsername)
      ? []
      : [
          'adminUsername (${adminUsername}) must be lower-case letters, digits, hyphens and underscores, and neither reserved by Azure nor a group of Ubuntu'
        ],
    map(
      filter(
        concat(
          [
            { name: 'nomad.region', given: nomad.region }
            { name: 'nomad.datacenter', given: nomad.datacenter }
            { name: 'consul.datacenter', given: consulDatacenter ?? 'dc1' }
          ],
          map(pools, pool => { name: 'clientPools: datacenter of ${pool.name}', given: pool.?datacenter ?? 'dc1' }),
          map(pools, pool => { name: 'clientPools: nodeClass of ${pool.name}', given: pool.?nodeClass ?? 'class' }),
          map(pools, pool => { name: 'clientPools: nodePool of ${pool.name}', given: pool.?nodePool ?? 'default' })
        ),
        each => !place(each.given)
      ),
      each => '${each.name} (${each.given}) must be letters, digits, hyphens and underscores, 63 at most'
    ),
    map(
      filter(pools, pool => pool.?nodePool == 'all'),
      pool => 'clientPools: nodePool of pool ${pool.name} must not be all, which Nomad keeps for itself'
    ),
    map(
      filter(pools, pool => !hostPart(pool.name)),
      pool =>
        'clientPools: the name ${pool.name} must be lower-case letters, digits and hyphens, with no hyphen at either end'
    ),
    map(
      filter(pools, pool => !decimal(pool.?price ?? '0')),
      pool => 'clientPools: price ${pool.?price ?? ''} of pool ${pool.name} must be a decimal number such as 0.115'
    ),
    map(
      filter(pools, pool => length(pool.?zones ?? []) != length(union(pool.?zones ?? [], pool.?zones ?? []))),
      pool => 'clientPools: zones of pool ${pool.name} must differ'
    )
  )
