"""The paths of the service, as its OpenAPI document shows them."""
