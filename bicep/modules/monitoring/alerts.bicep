metadata name = 'Alert rules'
metadata description = 'What presses on a pool goes to the keeper; what a runbook must answer goes to people. Each rule is named after its runbook.'

import { House } from '../../types.bicep'

/*** WHAT THE CALLER DECIDES ***/
@description('Required. Naming, tags and diagnostics.')
param house House

@description('Required. Name and scale set of each pool.')
param pools { name: string, scaleSetId: string }[]

@description('Required. Products whose state is saved, as the keeper calls them.')
param products ('nomad' | 'consul')[]

@description('Required. Whether restores are rehearsed.')
param rehearsals bool

@description('Required. Resource id of the load balancer of the servers.')
param balancerId string

@description('Required. Resource id of the group that reaches the keeper.')
param keeperGroupId string

@description('Required. Resource id of the group that reaches people.')
param peopleGroupId string

/*** VARIABLES ***/
// `count` is compared with the threshold; a rule that fires on silence therefore compares with less than one.
var silence = { operator: 'LessThan', threshold: 1 }
var any = { operator: 'GreaterThan', threshold: 0 }

var watchRules = [
  {
    name: 'work-blocked'
    severity: 2
    why: 'Work has been waiting for 15 minutes although the keeper may grow the pools.'
    query: 'AppTraces | where Message has \'"event":"tick.planned"\' | extend told = parse_json(Message) | where tostring(told.controller) == "autoscale" and tostring(told.reason) == "demand"'
    window: 'PT15M'
    every: 'PT5M'
    when: { operator: 'GreaterThan', threshold: 25 }
  }
  {
    name: 'keeper-silent'
    severity: 1
    why: 'The keeper has not finished a tick for 15 minutes: nothing is sized, repaired or backed up.'
    query: 'AppTraces | where Message has \'"event":"tick.done"\''
    window: 'PT15M'
    every: 'PT5M'
    when: silence
  }
  {
    name: 'disk-full'
    severity: 2
    why: 'A disk is more than 85 percent full; Raft stops writing when it is full.'
    query: 'Perf | where ObjectName == "Logical Disk" and CounterName == "% Used Space" and CounterValue > 85 | where InstanceName in ("/", "/data")'
    window: 'PT15M'
    every: 'PT5M'
    when: any
  }
  {
    name: 'certificate-old'
    severity: 1
    why: 'A machine serves a certificate that it could not renew in time.'
    query: 'Syslog | where SyslogMessage has \'"event":"certificate.old"\''
    window: 'PT1H'
    every: 'PT15M'
    when: any
  }
  {
    name: 'certificates-failed'
    severity: 2
    why: 'The keeper could not read, make or write a certificate or secret. Machines work on until what they hold ends; new ones wait.'
    query: 'AppTraces | where Message has \'"event":"certificates.failed"\''
    window: 'PT1H'
    every: 'PT15M'
    when: { operator: 'GreaterThan', threshold: 2 } // a right that is on its way after a deployment fails once or twice
  }
  {
    name: 'message-poisoned'
    severity: 2
    why: 'A message could not be handled five times and lies in the poison queue.'
    query: 'AppTraces | where Message has \'"event":"message.poisoned"\''
    window: 'PT5M'
    every: 'PT5M'
    when: any
  }
  {
    name: 'function-failures'
    severity: 2
    why: 'Invocations of the keeper fail again and again.'
    query: 'AppRequests | where Success == false'
    window: 'PT15M'
    every: 'PT5M'
    when: { operator: 'GreaterThan', threshold: 5 }
  }
  {
    name: 'spot-evictions'
    severity: 3
    why: 'Azure takes spot machines back faster than usual: work moves often, or waits.'
    query: 'Syslog | where SyslogMessage has \'"event":"node.leaving"\' and SyslogMessage has "Preempt"'
    window: 'PT1H'
    every: 'PT15M'
    when: { operator: 'GreaterThan', threshold: 3 }
  }
]

// One rule for each product: a snapshot of the one must not hide that the other has none.
var ageRules = map(products, product => {
  name: 'snapshot-overdue'
  about: product
  severity: 1
  why: 'No snapshot of ${product} is young enough. Fires on silence too: a keeper that says nothing has no backup either.'
  query: 'AppTraces | where Message has \'"event":"snapshot.age"\' | extend told = parse_json(Message) | where tostring(told.product) == "${product}" and todouble(told.age) between (-300.0 .. 1.5 * todouble(told.interval))'
  window: 'PT3H'
  every: 'PT30M'
  when: silence
})

var rehearsalRules = !rehearsals
  ? []
  : [
      {
        name: 'rehearsal-failed'
        severity: 1
        why: 'A snapshot could not be restored in a rehearsal, so nobody knows that a backup would help.'
        query: 'AppTraces | where Message has \'"event":"rehearsal.failed"\''
        window: 'PT1H'
        every: 'PT15M'
        when: any
      }
    ]

var poolRules = flatten(map(pools, pool => [
  {
    pool: pool
    name: 'pool-cpu-high'
    metric: 'Percentage CPU'
    operator: 'GreaterThan'
    threshold: 80
    window: 'PT5M'
    why: 'Processors are busy; the keeper adds a step for each cooldown until this resolves.'
  }
  {
    pool: pool
    name: 'pool-cpu-low'
    metric: 'Percentage CPU'
    operator: 'LessThan'
    threshold: 10
    window: 'PT1H'
    why: 'Processors idle for an hour; the keeper shrinks by itself when work fits elsewhere, so look why it does not.'
  }
  {
    pool: pool
    name: 'pool-memory-high'
    metric: 'Available Memory Percentage'
    operator: 'LessThan'
    threshold: 10
    window: 'PT5M'
    why: 'Memory is nearly used up; the keeper adds a step for each cooldown until this resolves.'
  }
]))

var serverRules = [
  {
    name: 'leader-lost'
    operator: 'LessThan'
    threshold: 1
    severity: 0
    why: 'No server knows a leader: nothing can be placed and no state can be written.'
  }
  {
    name: 'peers-lost'
    operator: 'LessThan'
    threshold: 95
    severity: 1
    why: 'A server is missing or has no leader: one more and the quorum is gone.'
  }
]

/*** RESOURCES ***/
resource onPools 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in poolRules: {
    name: '${rule.name}-${house.cluster}-${rule.pool.name}'
    location: 'global'
    tags: house.tags
    properties: {
      description: '${rule.why} Runbook: docs/runbooks/${rule.name}.md'
      enabled: true
      severity: 3
      autoMitigate: true
      scopes: [rule.pool.scaleSetId]
      targetResourceType: 'Microsoft.Compute/virtualMachineScaleSets'
      targetResourceRegion: house.location
      evaluationFrequency: rule.window == 'PT1H' ? 'PT15M' : 'PT1M'
      windowSize: rule.window
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'load'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.Compute/virtualMachineScaleSets'
            metricName: rule.metric
            operator: rule.operator
            threshold: rule.threshold
            timeAggregation: 'Average'
          }
        ]
      }
      actions: [
        {
          actionGroupId: rule.name == 'pool-cpu-low' ? peopleGroupId : keeperGroupId
          webHookProperties: { 'keeper-pool': rule.pool.name, runbook: 'docs/runbooks/${rule.name}.md' }
        }
      ]
    }
  }
]

resource onServers 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in serverRules: {
    name: '${rule.name}-${house.cluster}'
    location: 'global'
    tags: house.tags
    properties: {
      description: '${rule.why} Runbook: docs/runbooks/${rule.name}.md'
      enabled: true
      severity: rule.severity
      autoMitigate: true
      scopes: [balancerId]
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: 'probes'
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.Network/loadBalancers'
            metricName: 'DipAvailability' // share of probes answered: a server answers only while it knows a leader
            operator: rule.operator
            threshold: rule.threshold
            timeAggregation: 'Average'
          }
        ]
      }
      actions: [{ actionGroupId: peopleGroupId, webHookProperties: { runbook: 'docs/runbooks/${rule.name}.md' } }]
    }
  }
]

resource onLogs 'Microsoft.Insights/scheduledQueryRules@2025-01-01-preview' = [
  for rule in concat(watchRules, ageRules, rehearsalRules): {
    name: join(filter([rule.name, house.cluster, rule.?about ?? ''], part => !empty(part)), '-')
    location: house.location
    tags: house.tags
    kind: 'LogAlert'
    properties: {
      displayName: join(filter([rule.name, house.cluster, rule.?about ?? ''], part => !empty(part)), '-')
      description: '${rule.why} Runbook: docs/runbooks/${rule.name}.md'
      enabled: true
      severity: rule.severity
      autoMitigate: true
      skipQueryValidation: true // a new workspace has none of these tables yet
      scopes: [house.workspaceId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.when.operator
            threshold: rule.when.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [peopleGroupId], customProperties: { runbook: 'docs/runbooks/${rule.name}.md' } }
    }
  }
]
