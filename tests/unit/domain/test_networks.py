"""Reading a network's definition."""

from __future__ import annotations

from ipaddress import ip_interface

from virtsec.domain.networks import read_network


def test_bridge_and_addresses_of_a_network_are_read_in_each_form() -> None:
    xml = """<network><name>n</name><bridge name='virbr0' stp='on'/>
      <ip address='192.168.122.1' netmask='255.255.255.0'/>
      <ip family='ipv6' address='fd00::1' prefix='64'/></network>"""
    bridge, addresses = read_network(xml)
    assert bridge == "virbr0"
    assert addresses == (ip_interface("192.168.122.1/24"), ip_interface("fd00::1/64"))


def test_a_network_without_addresses_has_none() -> None:
    assert read_network("<network><name>n</name></network>") == (None, ())
    switch = "<network><bridge name='ovs0'/><virtualport type='openvswitch'/></network>"
    assert read_network(switch) == (None, ())
