metadata name = 'Ports'
metadata description = 'Every port of the cluster, once: network security groups, load balancer, and the knobs that configure Nomad and Consul take them from here.'

@export()
@description('Port of each listener.')
var ports = {
  nomadHttp: 4646
  nomadRpc: 4647
  nomadSerf: 4648
  consulRpc: 8300
  consulSerfLan: 8301
  consulSerfWan: 8302
  consulHttp: 8500
  consulHttps: 8501
  consulGrpc: 8502
  consulDns: 8600
  vaultApi: 8200
  vaultCluster: 8201
  dynamicFirst: 20000
  dynamicLast: 32000
  health: 4690
  metrics: 4691
}
