# Restores a snapshot of Nomad or Consul into a throw-away server and says what is there. The keeper dispatches it (REHEARSAL_JOB)
# and judges the verdict; docs/runbooks/rehearsal-failed.md tells how to read one.
#
#   nomad job run -var blob_url=https://<state account>.blob.core.windows.net -var identity=<client id> restore-drill.nomad.hcl
#
# It needs raw_exec and root: the server runs in a network namespace of its own (unshare --net) in which nothing but loopback
# exists, because restored state acts. The identity reads the snapshot containers, unwraps with the snapshot key and writes
# the container `rehearsals`. Whoever runs here can read every snapshot: give it a node pool of its own, without other work.

variable "blob_url" {
  type        = string
  description = "Blob endpoint of the state account."
}

variable "identity" {
  type        = string
  description = "Client id of the managed identity that may read and open snapshots."
}

variable "node_pool" {
  type    = string
  default = "default"
}

variable "nomad" {
  type        = string
  default     = "/usr/local/bin/nomad"
  description = "The server that is started; the version must be the cluster's, or the one it will be upgraded to."
}

variable "consul" {
  type        = string
  default     = "/usr/local/bin/consul"
  description = "The same for Consul's snapshots, of the cluster's version. Clusters without Consul need none."
}

variable "python" {
  type    = string
  default = "/usr/bin/python3"
}

variable "program" {
  type        = string
  default     = "/opt/keeper/current"
  description = "Where the node program lies, whose modules the drill uses."
}

variable "ca_file" {
  type    = string
  default = ""
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "More variables of the drill's environment."
}

job "restore-drill" {
  type        = "batch"
  datacenters = ["*"]
  node_pool   = var.node_pool

  parameterized {
    payload       = "forbidden"
    meta_required = ["snapshot", "tier", "verdict"]
  }

  group "drill" {
    # A rehearsal that failed is told, not tried again on its own.
    reschedule {
      attempts  = 0
      unlimited = false
    }
    restart {
      attempts = 0
      mode     = "fail"
    }
    ephemeral_disk {
      size = 4096 # the opened archive, and the server's own copy of the state
    }

    task "rehearse" {
      driver = "raw_exec"
      config {
        command = var.python
        args    = ["local/drill.py"]
      }
      env = merge({
        PYTHONPATH               = var.program
        DRILL_BLOB_URL           = var.blob_url
        DRILL_IDENTITY_CLIENT_ID = var.identity
        DRILL_NOMAD              = var.nomad
        DRILL_CONSUL             = var.consul
        DRILL_CA_FILE            = var.ca_file
      }, var.environment)

      dynamic "template" {
        for_each = ["drill.py", "throwaway.py", "nomads.py", "consuls.py", "fetching.py", "sealed.py"]
        content {
          destination     = "local/${template.value}"
          data            = file("drill/${template.value}")
          left_delimiter  = "@@{"
          right_delimiter = "}@@"
        }
      }

      resources {
        cpu    = 500
        memory = 1024
      }
    }
  }
}
