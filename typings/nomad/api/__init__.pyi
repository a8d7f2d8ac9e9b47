from nomad.api.allocations import Allocations as Allocations
from nomad.api.deployments import Deployments as Deployments
from nomad.api.evaluations import Evaluations as Evaluations
from nomad.api.job import Job as Job
from nomad.api.jobs import Jobs as Jobs
from nomad.api.node import Node as Node
from nomad.api.nodes import Nodes as Nodes
from nomad.api.base import Requester as Requester
