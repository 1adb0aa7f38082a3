# Leads Flowdock's host names to the server under test, as an entry in /etc/hosts would: ruby -r reroute.rb
require 'socket'

HOSTS = ENV.fetch('FLOWDOCK_HOSTS').split(',').map { |entry| entry.split('=') }.to_h

TCPSocket.singleton_class.prepend(Module.new do
  def open(host, port, *rest)
    raise "#{host}: no client under test has any business there" unless HOSTS.key?(host)

    host, port = HOSTS[host].split(':')
    super(host, port.to_i, *rest)
  end
end)
