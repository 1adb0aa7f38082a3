# Leads Flowdock's host names to the server under test, as an entry in /etc/hosts would: ruby -r reroute.rb
require 'socket'

HOSTS = ENV.fetch('FLOWDOCK_HOSTS').split(',').map { |entry| entry.split('=') }.to_h

def led(host)
  raise "#{host}: no client under test has any business there" unless HOSTS.key?(host)

  address, port = HOSTS[host].split(':')
  [address, port.to_i]
end

# Net::HTTP opens its connections by the one or by the other, as its version is.
TCPSocket.singleton_class.prepend(Module.new do
  def open(host, port, *rest)
    super(*led(host), *rest)
  end
end)

Socket.singleton_class.prepend(Module.new do
  def tcp(host, port, *rest, **options, &block)
    super(*led(host), *rest, **options, &block)
  end
end)
