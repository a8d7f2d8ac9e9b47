import requests

class BaseNomadException(Exception):
    nomad_resp: requests.Response | requests.RequestException
