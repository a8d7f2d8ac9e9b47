using '../main.bicep'

// Production, highly available: five servers, five to ten regular clients and as many spot ones as work asks for,
// a dedicated Consul with its mesh, copies in a second region, flow logs.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param adminGroupId = readEnvironmentVariable('ADMIN_GROUP_ID', '')
param stage = 'production'
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '')
param operatorSources = split(readEnvironmentVariable('OPERATOR_SOURCES'), ',')
param alertEmails = filter(split(readEnvironmentVariable('ALERT_EMAILS', ''), ','), address => !empty(address))
param serverCount = 5
param serverSku = 'Standard_D4s_v5'
param clientPools = [
  { name: 'general', min: 5, max: 10, order: 10, price: '0.230' }
  { name: 'spot', min: 0, max: 10, priority: 'Spot', order: 5, price: '0.060' }
  // Bought for a rehearsal of a snapshot, and given back: whoever runs here may read every snapshot.
  { name: 'drill', min: 0, max: 1, sku: 'Standard_D2s_v5', rehearsals: true, order: 90, price: '0.115' }
]
param consul = { mode: 'Dedicated', mesh: true }
param storageRedundancy = 'Standard_RAGZRS'
param copyLocation = 'northeurope'
param customerKeys = 'Hardware'
param logs = {
  retentionDays: 90
  dailyQuotaGb: -1
  flowLogs: { resourceGroup: 'NetworkWatcherRG', watcher: 'NetworkWatcher_westeurope' }
}
