using '../main.bicep'

// Everything that can be switched on, in five resource groups: not a recommendation, but what the checks look at.
param sshPublicKey = readEnvironmentVariable('SSH_PUBLIC_KEY')
param adminGroupId = readEnvironmentVariable('ADMIN_GROUP_ID', '44444444-4444-4444-4444-444444444444')
param stage = 'production'
param resourceGroups = {
  network: 'rg-nomad-network'
  compute: 'rg-nomad-compute'
  storage: 'rg-nomad-storage'
  security: 'rg-nomad-security'
  monitoring: 'rg-nomad-monitoring'
}
param tags = { owner: 'platform' }
param egress = 'AzureFirewall'
param operatorSources = split(readEnvironmentVariable('OPERATOR_SOURCES'), ',')
param applicationPorts = ['8080', '9000-9100']
param applicationGateway = {
  hostName: 'apps.example.com'
  sources: ['198.51.100.0/24']
  certificateSecretId: readEnvironmentVariable('CERTIFICATE_SECRET_ID', 'https://example.vault.azure.net/secrets/apps')
  backendPort: 8080
  probePath: '/ping'
}
param federation = {
  networks: [
    '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-nomad-north/providers/Microsoft.Network/virtualNetworks/vnet-north'
  ]
  servers: ['10.1.10.0/24']
  join: ['10.1.10.9', '10.1.10.10', '10.1.10.11']
  authoritativeRegion: 'west'
}
param nomad = { region: 'west', datacenter: 'west-1' }
param serverCount = 5
param serverSku = 'Standard_D4s_v5'
param serverDisk = 'PremiumV2_LRS'
param ubuntu = '24.04'
param clientPools = [
  { name: 'general', min: 3, max: 20, order: 20, price: '0.230' }
  { name: 'spot', min: 0, max: 30, priority: 'Spot', order: 10, price: '0.060' }
  {
    name: 'memory'
    min: 0
    max: 5
    sku: 'Standard_E8s_v5'
    mode: 'Uniform'
    nodeClass: 'memory'
    nodePool: 'memory'
    order: 30
    price: '0.600'
  }
  {
    name: 'gpu'
    min: 0
    max: 2
    sku: 'Standard_NC4as_T4_v3'
    zones: ['1']
    nodeClass: 'gpu'
    order: 90
    price: '0.700'
    node: { cores: 4, cpuMhz: 9800, memoryMb: 27000, diskMb: 48000 }
  }
  { name: 'drill', min: 0, max: 1, sku: 'Standard_D2s_v5', rehearsals: true, order: 95, price: '0.115' }
]
param consul = { mode: 'Dedicated', mesh: true, datacenter: 'west' }
param vault = true
param storageRedundancy = 'Standard_RAGZRS'
param copyLocation = 'northeurope'
param files = true
param customerKeys = 'Hardware'
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '55555555-5555-5555-5555-555555555555')
param packageUrl = readEnvironmentVariable('PACKAGE_URL', 'https://example.com/keeper.zip')
param keeperSettings = { AUTOSCALE_SCHEDULE: '*/30 * * * * *' }
param logs = {
  retentionDays: 90
  dailyQuotaGb: -1
  flowLogs: { resourceGroup: 'NetworkWatcherRG', watcher: 'NetworkWatcher_westeurope' }
}
param alertEmails = ['platform@example.com']
param eventSubscriptions = true
param backup = {
  servers: true
  recovery: {
    location: 'northeurope'
    resourceGroupId: '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-nomad-recovery'
    networkId: '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-nomad-recovery/providers/Microsoft.Network/virtualNetworks/vnet-recovery'
    subnetName: 'servers'
    diskEncryptionSetId: '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-nomad-recovery/providers/Microsoft.Compute/diskEncryptionSets/des-recovery'
  }
}
