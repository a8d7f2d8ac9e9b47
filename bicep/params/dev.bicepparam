using '../main.bicep'

// Development: three small servers, one client that may leave, no second copies.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param stage = 'dev'
param operatorSources = split(readEnvironmentVariable('OPERATOR_SOURCES'), ',')
param lock = 'None'
param serverSku = 'Standard_D2s_v5'
param clientPools = [
  { name: 'general', min: 1, max: 3, sku: 'Standard_D2s_v5', order: 10, price: '0.115' }
  { name: 'spot', min: 0, max: 3, sku: 'Standard_D2s_v5', priority: 'Spot', order: 5, price: '0.030' }
]
param consul = { mode: 'Off', mesh: false }
param storageRedundancy = 'Standard_GRS'
param retentionDays = { hourly: 1, daily: 1, weekly: 1, monthly: 1, audit: 7 }
param logs = { retentionDays: 30, dailyQuotaGb: 2 }
param backup = { servers: false }
